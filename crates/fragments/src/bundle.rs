//! The trust bundle: whom managers and gateways believe, signed by the owner (design 5.5).
//!
//! The control plane stores and relays it and cannot change it. That is what makes "the control
//! plane cannot derive" true.

use std::collections::BTreeSet;

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::sign::PublicKey;

use crate::encoding::{Encoding, Reader, Writer};
use crate::manager_set::{MANAGERS_MAX, ManagerIndex};
use crate::permit::Op;
use crate::refusal::Refusal;

pub mod address;
pub mod endorsement;
pub mod pinned;
pub mod succession;

/// Longest name of a key group in bytes.
pub const GROUP_BYTES_MAX: usize = 64;
/// Most gateway clusters, key groups, and entries of each list of a cluster.
pub const BUNDLE_LIST_MAX: usize = 1_000;
/// Most permit-signing keys: the current one, the next one and a few that still sign.
pub const PERMIT_KEYS_MAX: usize = 16;
/// Most former identity keys of one manager.
pub const FORMER_KEYS_MAX: usize = 16;
/// Most entries of control: one for each of its machines.
pub const CONTROLS_MAX: usize = 16;
/// Most log witnesses.
pub const WITNESSES_MAX: usize = 16;
/// Longest recovery key: an X-Wing public key has 1216 bytes.
pub const RECOVERY_KEY_BYTES_MAX: usize = 2_048;

/// Without controls and addresses: what a one-machine installation needs. It is written whenever
/// it can say the bundle, so that every bundle has one spelling.
const FORMAT_PLAIN: u8 = 1;
/// With controls and addresses.
const FORMAT_ADDRESSED: u8 = 2;

/// What the owner trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Random id of this deployment, so that a bundle of another one by the same owner is no use.
    pub deployment: Uid,
    /// Grows with every change; a lower one than the pinned is refused.
    pub version: u64,
    /// When the owner signed.
    pub issued_at: Timestamp,
    /// The accounts permits may be for; empty: every account.
    pub accounts: Vec<AccountId>,
    /// The managers, with indexes 1, 2, 3 and so on. A key of n managers lives on the first n.
    pub managers: Vec<ManagerEntry>,
    /// Who may sign permits, and when.
    pub permit_keys: Vec<PermitKey>,
    /// The gateway clusters.
    pub clusters: Vec<Cluster>,
    /// The key groups, by ascending name.
    pub groups: Vec<KeyGroup>,
    /// What each account may derive.
    pub account_caps: Caps,
    /// Longest time a gateway may keep what it opened, in seconds.
    pub cache_ttl_seconds_max: u32,
    /// How long a destruction can still be cancelled, in seconds.
    pub destroy_delay_seconds: u32,
    /// Keys that witness the managers' logs.
    pub witnesses: Vec<PublicKey>,
    /// To which each manager may seal an export of its fragments; `None`: no escrow.
    pub recovery_key: Option<Vec<u8>>,
    /// The machines of the control plane, which others connect to.
    pub controls: Vec<ControlEntry>,
}

/// A machine of the control plane as the owner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlEntry {
    /// SHA-256 of the `SubjectPublicKeyInfo` of its TLS certificate.
    pub tls_spki_sha256: [u8; 32],
    /// Where it listens, `host:port`; empty: known only from local configuration.
    pub address: String,
}

/// A fragment manager as the owner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerEntry {
    /// Its index.
    pub index: ManagerIndex,
    /// The key it signs manifests and answers with.
    pub key: PublicKey,
    /// SHA-256 of the `SubjectPublicKeyInfo` of its TLS certificate.
    pub tls_spki_sha256: [u8; 32],
    /// Keys of machines that had this index before; manifests signed by them stay valid.
    pub former_keys: Vec<PublicKey>,
    /// Where it listens, `host:port`; empty: known only from local configuration. A hint: whoever
    /// answers there must hold the TLS key.
    pub address: String,
}

/// A key that may sign permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitKey {
    /// The key.
    pub key: PublicKey,
    /// The first moment at which it may sign.
    pub not_before: Timestamp,
    /// The last one.
    pub not_after: Timestamp,
}

/// A cluster of gateways that may derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its random id.
    pub id: Uid,
    /// SHA-256 of the `SubjectPublicKeyInfo` of each instance that is listed one by one.
    pub instances: Vec<[u8; 32]>,
    /// The key that endorses instances which are not listed; `None`: only listed ones.
    pub cluster_key: Option<PublicKey>,
    /// Names of the key groups it may use.
    pub groups: Vec<String>,
    /// The customer fragments it may use.
    pub fragments: Vec<Uid>,
    /// What it may do.
    pub ops: Vec<Op>,
    /// How much all its instances together may derive.
    pub caps: Caps,
}

/// A group of protection keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGroup {
    /// Its name, 1 to [`GROUP_BYTES_MAX`] bytes.
    pub name: String,
    /// Whether its keys must have a customer fragment.
    pub fragment_required: bool,
    /// How much may be derived under all its keys together.
    pub caps: Caps,
    /// How much may be derived under each of its keys.
    pub key_caps: Caps,
}

/// How much may be derived. A cap of zero allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Derivations per second.
    pub derivations_per_second: u32,
    /// Distinct items in one hour.
    pub items_per_hour: u32,
    /// Distinct items in one day.
    pub items_per_day: u32,
}

impl Caps {
    /// No cap at all.
    pub const UNLIMITED: Self = Self {
        derivations_per_second: u32::MAX,
        items_per_hour: u32::MAX,
        items_per_day: u32::MAX,
    };
}

impl Bundle {
    /// How many machines would have to be broken into, by what the bundle says of them. Managers
    /// on one machine are one trust domain, under however many users they run.
    pub fn trust_domains(&self) -> usize {
        let host = |address: &str| address.rsplit_once(':').map_or("", |(host, _)| host).to_owned();
        let hosts: BTreeSet<String> =
            self.managers.iter().map(|entry| host(&entry.address)).collect();
        hosts.len().max(1)
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&KeyGroup> {
        let found = self.groups.binary_search_by(|group| group.name.as_str().cmp(name)).ok()?;
        self.groups.get(found)
    }

    /// The manager with this index.
    pub fn manager(&self, index: ManagerIndex) -> Option<&ManagerEntry> {
        self.managers.get(index.place())
    }

    /// The manager whose TLS certificate has this SPKI hash.
    pub fn manager_by_tls(&self, tls_spki_sha256: &[u8; 32]) -> Option<&ManagerEntry> {
        self.managers.iter().find(|manager| manager.tls_spki_sha256 == *tls_spki_sha256)
    }

    /// Checks what the encoding cannot: that the parts fit each other.
    fn check(&self) -> Result<(), Refusal> {
        let indexes = self.managers.iter().map(|manager| manager.index.place());
        let indexes_run = indexes.eq(0..self.managers.len());
        let names_ascend = self.groups.is_sorted_by(|a, b| a.name < b.name);
        let names_given = self.groups.iter().all(|group| !group.name.is_empty());
        let periods_run = self.permit_keys.iter().all(|key| key.not_before <= key.not_after);
        let mut cluster_ids: Vec<Uid> = self.clusters.iter().map(|cluster| cluster.id).collect();
        cluster_ids.sort_unstable();
        let cluster_ids_differ = cluster_ids.is_sorted_by(|a, b| a < b);
        let ok = indexes_run
            && names_ascend
            && names_given
            && periods_run
            && cluster_ids_differ
            && self.machines_differ()
            && self.addresses().all(|text| text.is_empty() || address::is_address(text));
        if ok { Ok(()) } else { Err(Refusal::BadBundle) }
    }

    /// One machine under two indexes, or one gateway in two clusters, would count twice.
    fn machines_differ(&self) -> bool {
        let managers = self.managers.iter().map(|manager| manager.tls_spki_sha256);
        let instances = self.clusters.iter().flat_map(|cluster| cluster.instances.iter().copied());
        let controls = self.controls.iter().map(|control| control.tls_spki_sha256);
        let mut spkis: Vec<[u8; 32]> = managers.chain(instances).chain(controls).collect();
        spkis.sort_unstable();
        let mut keys: Vec<PublicKey> = self.managers.iter().map(|manager| manager.key).collect();
        keys.sort_unstable();
        spkis.is_sorted_by(|a, b| a < b) && keys.is_sorted_by(|a, b| a < b)
    }

    fn addresses(&self) -> impl Iterator<Item = &str> {
        let managers = self.managers.iter().map(|manager| manager.address.as_str());
        managers.chain(self.controls.iter().map(|control| control.address.as_str()))
    }

    fn format(&self) -> u8 {
        let plain = self.controls.is_empty() && self.addresses().all(str::is_empty);
        if plain { FORMAT_PLAIN } else { FORMAT_ADDRESSED }
    }
}

impl Encoding for Bundle {
    fn write(&self, to: &mut Writer) {
        let format = self.format();
        to.array(fields(format)).uint(format).uid(&self.deployment).uint(self.version);
        to.time(self.issued_at);
        to.list(&self.accounts, |to, account| {
            to.uid(&account.0);
        });
        to.list(&self.managers, |to, manager| manager.write(to, format));
        to.list(&self.permit_keys, |to, key| {
            to.array(3).bytes(&key.key.0).time(key.not_before).time(key.not_after);
        });
        to.list(&self.clusters, |to, cluster| cluster.write(to));
        to.list(&self.groups, |to, group| {
            to.array(4).text(&group.name).flag(group.fragment_required);
            group.caps.write(to);
            group.key_caps.write(to);
        });
        self.account_caps.write(to);
        to.uint(self.cache_ttl_seconds_max).uint(self.destroy_delay_seconds);
        to.list(&self.witnesses, |to, key| {
            to.bytes(&key.0);
        });
        // An absent recovery key is an empty one.
        to.bytes(self.recovery_key.as_deref().unwrap_or_default());
        if format == FORMAT_ADDRESSED {
            to.list(&self.controls, |to, control| {
                to.array(2).bytes(&control.tls_spki_sha256).text(&control.address);
            });
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        let length = from.length(fields(FORMAT_ADDRESSED))?;
        let format = from.u8()?;
        if !matches!(format, FORMAT_PLAIN | FORMAT_ADDRESSED) || length != fields(format) {
            return Err(Refusal::Malformed);
        }
        let bundle = Self {
            deployment: from.uid()?,
            version: from.u64()?,
            issued_at: from.time()?,
            accounts: from.list(BUNDLE_LIST_MAX, |from| from.uid().map(AccountId))?,
            managers: from
                .list(usize::from(MANAGERS_MAX), |from| ManagerEntry::read(from, format))?,
            permit_keys: from.list(PERMIT_KEYS_MAX, PermitKey::read)?,
            clusters: from.list(BUNDLE_LIST_MAX, Cluster::read)?,
            groups: from.list(BUNDLE_LIST_MAX, KeyGroup::read)?,
            account_caps: Caps::read(from)?,
            cache_ttl_seconds_max: from.u32()?,
            destroy_delay_seconds: from.u32()?,
            witnesses: from.list(WITNESSES_MAX, Reader::public_key)?,
            recovery_key: match from.bytes(RECOVERY_KEY_BYTES_MAX)? {
                [] => None,
                key => Some(key.to_vec()),
            },
            controls: match format {
                FORMAT_PLAIN => Vec::new(),
                _ => from.list(CONTROLS_MAX, ControlEntry::read)?,
            },
        };
        bundle.check()?;
        Ok(bundle)
    }
}

/// How many fields a bundle of this format has.
const fn fields(format: u8) -> usize {
    if format == FORMAT_PLAIN { 14 } else { 15 }
}

impl ControlEntry {
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        Ok(Self {
            tls_spki_sha256: from.fixed()?,
            address: from.text(address::ADDRESS_BYTES_MAX)?.to_owned(),
        })
    }
}

impl ManagerEntry {
    fn write(&self, to: &mut Writer, format: u8) {
        to.array(if format == FORMAT_PLAIN { 4 } else { 5 });
        to.uint(self.index.get()).bytes(&self.key.0).bytes(&self.tls_spki_sha256);
        to.list(&self.former_keys, |to, key| {
            to.bytes(&key.0);
        });
        if format == FORMAT_ADDRESSED {
            to.text(&self.address);
        }
    }

    fn read(from: &mut Reader<'_>, format: u8) -> Result<Self, Refusal> {
        from.array(if format == FORMAT_PLAIN { 4 } else { 5 })?;
        Ok(Self {
            index: from.manager()?,
            key: from.public_key()?,
            tls_spki_sha256: from.fixed()?,
            former_keys: from.list(FORMER_KEYS_MAX, Reader::public_key)?,
            address: match format {
                FORMAT_PLAIN => String::new(),
                _ => from.text(address::ADDRESS_BYTES_MAX)?.to_owned(),
            },
        })
    }
}

impl PermitKey {
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self { key: from.public_key()?, not_before: from.time()?, not_after: from.time()? })
    }
}

impl Cluster {
    fn write(&self, to: &mut Writer) {
        to.array(7).uid(&self.id);
        to.list(&self.instances, |to, spki| {
            to.bytes(spki);
        });
        // An absent cluster key is an empty one.
        to.bytes(self.cluster_key.as_ref().map_or(&[], |key| key.0.as_slice()));
        to.list(&self.groups, |to, name| {
            to.text(name);
        });
        to.list(&self.fragments, |to, id| {
            to.uid(id);
        });
        to.list(&self.ops, |to, op| {
            to.uint(op.number());
        });
        self.caps.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(7)?;
        Ok(Self {
            id: from.uid()?,
            instances: from.list(BUNDLE_LIST_MAX, Reader::fixed)?,
            cluster_key: match from.bytes(32)? {
                [] => None,
                key => Some(PublicKey::from_slice(key).ok_or(Refusal::Malformed)?),
            },
            groups: from
                .list(BUNDLE_LIST_MAX, |from| from.text(GROUP_BYTES_MAX).map(str::to_owned))?,
            fragments: from.list(BUNDLE_LIST_MAX, Reader::uid)?,
            ops: from.list(Op::ALL.len(), |from| {
                Op::from_number(from.u8()?).ok_or(Refusal::Malformed)
            })?,
            caps: Caps::read(from)?,
        })
    }
}

impl KeyGroup {
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(4)?;
        Ok(Self {
            name: from.text(GROUP_BYTES_MAX)?.to_owned(),
            fragment_required: from.flag()?,
            caps: Caps::read(from)?,
            key_caps: Caps::read(from)?,
        })
    }
}

impl Caps {
    fn write(self, to: &mut Writer) {
        to.array(3).uint(self.derivations_per_second);
        to.uint(self.items_per_hour).uint(self.items_per_day);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self {
            derivations_per_second: from.u32()?,
            items_per_hour: from.u32()?,
            items_per_day: from.u32()?,
        })
    }
}
