//! The key manifest: what all managers of a key version agree on and sign (design 5.4).
//!
//! A key is usable only with the signatures of all its n managers. The gateway verifies them
//! against its own pinned trust bundle before the first write; otherwise whoever relays manifests
//! could supply a key whose fragments it knows.

use curve25519_dalek::ristretto::RistrettoPoint;
use keysherd_base::{AccountId, KeyId, Uid};
use keysherd_crypto::sign::{PublicKey, Signature};

use crate::bundle::pinned::PinnedBundle;
use crate::bundle::{GROUP_BYTES_MAX, ManagerEntry};
use crate::context::SUITE;
use crate::encoding::{Encoding, Reader, Writer};
use crate::epoch::{EpochRecord, SignedRecord};
use crate::interpolation;
use crate::labels;
use crate::leg_g;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};
use crate::refusal::Refusal;

/// The format of keys whose customer fragment has no check value: those without a fragment, and
/// those made before there were check values.
const FORMAT: u8 = 1;
/// The format of keys with a check value of their customer fragment.
const FORMAT_CHECKED: u8 = 2;
/// Longest manifest in bytes: 7 managers, 35 check values and a group name fit in 1.5 kB.
pub const MANIFEST_BYTES_MAX: usize = 2_048;

/// One version of one protection key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyVersion {
    /// The account.
    pub account: AccountId,
    /// The key.
    pub id: KeyId,
    /// The version.
    pub version: u32,
}

impl KeyVersion {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.array(3).uid(&self.account.0).uid(&self.id).uint(self.version);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self { account: AccountId(from.uid()?), id: from.uid()?, version: from.u32()? })
    }
}

/// What is known publicly about one key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which key version.
    pub key: KeyVersion,
    /// How many of how many managers derive.
    pub threshold: Threshold,
    /// The key group, 1 to [`GROUP_BYTES_MAX`] bytes.
    pub group: String,
    /// The customer fragment it is bound to; all zero for none.
    pub fragment: Uid,
    /// The check value of that fragment, as [`CustomerFragment::check_value`] gives it; all zero
    /// when there is none. A gateway that holds another value under the same id sees it by this.
    ///
    /// [`CustomerFragment::check_value`]: crate::leg_c::CustomerFragment::check_value
    pub fragment_check: [u8; 16],
    /// The identity keys of managers 1 to n.
    pub managers: Vec<PublicKey>,
    /// Leg G: the public key of the whole.
    pub group_key: [u8; 32],
    /// Leg G: the public share P_i of managers 1 to n.
    pub public_shares: Vec<[u8; 32]>,
    /// Leg S: the check value of each key, by ascending holder set.
    pub checks: Vec<[u8; 16]>,
    /// The epoch of the shares; 0 at generation.
    pub epoch: u32,
}

impl Manifest {
    /// The customer fragment, if the key has one.
    pub fn fragment(&self) -> Option<&Uid> {
        (self.fragment != Uid::default()).then_some(&self.fragment)
    }

    /// Whether the fragment's check value is there.
    pub fn has_fragment_check(&self) -> bool {
        self.fragment_check != [0; 16]
    }

    /// The check value of the leg-S key that `set` holds.
    pub fn check_of(&self, set: ManagerSet) -> Option<&[u8; 16]> {
        self.checks.get(self.threshold.sets().position(|other| other == set)?)
    }

    fn check(&self) -> Result<(), Refusal> {
        let n = usize::from(self.threshold.n());
        let checks_nothing = self.fragment == Uid::default() && self.has_fragment_check();
        let ok = !self.group.is_empty()
            && !checks_nothing
            && self.managers.len() == n
            && self.public_shares.len() == n
            && self.checks.len() == self.threshold.sets().count();
        if ok { Ok(()) } else { Err(Refusal::BadManifest) }
    }
}

impl Encoding for Manifest {
    const BYTES_MAX: usize = MANIFEST_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        let checked = self.has_fragment_check();
        if checked {
            to.array(12).uint(FORMAT_CHECKED).uint(SUITE);
        } else {
            to.array(11).uint(FORMAT).uint(SUITE);
        }
        self.key.write(to);
        to.threshold(self.threshold).text(&self.group).uid(&self.fragment);
        to.list(&self.managers, |to, key| {
            to.bytes(&key.0);
        });
        to.bytes(&self.group_key);
        to.list(&self.public_shares, |to, point| {
            to.bytes(point);
        });
        to.list(&self.checks, |to, check| {
            to.bytes(check);
        });
        to.uint(self.epoch);
        if checked {
            to.bytes(&self.fragment_check);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        let checked = from.array_either(11, 12)?;
        let format = if checked { FORMAT_CHECKED } else { FORMAT };
        if from.u8()? != format || from.u16()? != SUITE {
            return Err(Refusal::Malformed);
        }
        let managers_max = usize::from(MANAGERS_MAX);
        let mut manifest = Self {
            key: KeyVersion::read(from)?,
            threshold: from.threshold()?,
            group: from.text(GROUP_BYTES_MAX)?.to_owned(),
            fragment: from.uid()?,
            fragment_check: [0; 16],
            managers: from.list(managers_max, Reader::public_key)?,
            group_key: from.fixed()?,
            public_shares: from.list(managers_max, Reader::fixed)?,
            checks: from.list(35, Reader::fixed)?,
            epoch: from.u32()?,
        };
        if checked {
            manifest.fragment_check = from.fixed()?;
        }
        manifest.check()?;
        Ok(manifest)
    }
}

/// A manifest's bytes and the signatures of managers 1 to n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// One signature of each manager, by index.
    pub signatures: Vec<Signature>,
}

impl Encoding for SignedManifest {
    const BYTES_MAX: usize = MANIFEST_BYTES_MAX + 70 * MANAGERS_MAX as usize;

    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.body);
        to.list(&self.signatures, |to, signature| {
            to.bytes(&signature.0);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let body = from.bytes(MANIFEST_BYTES_MAX)?.to_vec();
        Ok(Self { body, signatures: from.list(usize::from(MANAGERS_MAX), Reader::signature)? })
    }
}

impl SignedManifest {
    /// Verifies the signatures over the received bytes, then reads and checks them.
    ///
    /// # Errors
    /// [`Refusal::BadManifestSignature`] unless managers 1 to n of the bundle, or machines that
    /// had these indexes before, all signed; [`Refusal::Malformed`] or [`Refusal::BadManifest`]
    /// for a body that is none; [`Refusal::BadPoint`].
    pub fn verify(&self, bundle: &PinnedBundle) -> Result<TrustedManifest, Refusal> {
        let mut signers = Vec::with_capacity(self.signatures.len());
        for (place, signature) in self.signatures.iter().enumerate() {
            let manager = bundle.bundle().managers.get(place);
            let manager = manager.ok_or(Refusal::BadManifestSignature)?;
            signers.push(self.signer(manager, signature)?);
        }
        let manifest = Manifest::from_bytes(&self.body)?;
        if manifest.managers != signers {
            return Err(Refusal::BadManifestSignature);
        }
        TrustedManifest::new(manifest)
    }

    fn signer(&self, entry: &ManagerEntry, signature: &Signature) -> Result<PublicKey, Refusal> {
        std::iter::once(&entry.key)
            .chain(&entry.former_keys)
            .find(|key| key.verify(labels::SIGN_MANIFEST, &self.body, signature))
            .copied()
            .ok_or(Refusal::BadManifestSignature)
    }
}

/// A manifest that all its managers signed and whose public shares fit its group key.
#[derive(Clone, Debug)]
pub struct TrustedManifest {
    manifest: Manifest,
    points: Vec<RistrettoPoint>,
}

impl TrustedManifest {
    /// Only for manifests whose signatures were verified, and in tests.
    pub(crate) fn new(manifest: Manifest) -> Result<Self, Refusal> {
        manifest.check()?;
        let points: Result<Vec<_>, _> =
            manifest.public_shares.iter().map(leg_g::decode_point).collect();
        let points = points?;
        let group_key = leg_g::decode_point(&manifest.group_key)?;
        if !interpolation::is_sharing_of(manifest.threshold, &points, &group_key) {
            return Err(Refusal::BadManifest);
        }
        Ok(Self { manifest, points })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest a manager kept when it signed it, at the epoch of the record it kept when it
    /// took it: for bytes that were verified before and come from its own sealed store.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when they contradict themselves.
    pub fn of_own(body: &[u8], record: Option<&SignedRecord>) -> Result<Self, Refusal> {
        let read = || {
            let manifest = Manifest::from_bytes(body)?;
            let Some(record) = record else { return Self::new(manifest) };
            let record = EpochRecord::from_bytes(&record.body)?;
            let (epoch, public_shares) = (record.epoch, record.public_shares);
            Self::new(Manifest { epoch, public_shares, ..manifest })
        };
        read().map_err(|_: Refusal| Refusal::BadRecord)
    }

    /// The same key version with the public shares of another epoch.
    ///
    /// # Errors
    /// [`Refusal::BadEpochRecord`] when they are not a sharing of the group key;
    /// [`Refusal::BadPoint`].
    pub(crate) fn at_epoch(&self, epoch: u32, shares: Vec<[u8; 32]>) -> Result<Self, Refusal> {
        let manifest = Manifest { epoch, public_shares: shares, ..self.manifest.clone() };
        Self::new(manifest).map_err(|refusal| match refusal {
            Refusal::BadPoint => refusal,
            _ => Refusal::BadEpochRecord,
        })
    }

    /// The public share of `manager` as a group element.
    pub(crate) fn public_share(&self, manager: ManagerIndex) -> Option<&RistrettoPoint> {
        self.points.get(manager.place())
    }
}
