//! From the draft to a bundle, with errors that name the entry and the value.

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::address::is_address;
use keysherd_fragments::bundle::{
    Bundle, Cluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey, RECOVERY_KEY_BYTES_MAX,
};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::enrollment::is_name;
use keysherd_fragments::manager_set::{MANAGERS_MAX, ManagerIndex};
use keysherd_fragments::permit::Op;

use super::{Draft, DraftCluster, DraftManager, DraftPermitKey};
use crate::exit::Exit;

impl Draft {
    /// The bundle that the draft says.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the entry, the value and what is allowed.
    pub(in crate::owner) fn to_bundle(
        &self,
        version: u64,
        issued_at: Timestamp,
    ) -> Result<Bundle, Exit> {
        self.check_names()?;
        let mut managers =
            self.managers.iter().map(DraftManager::entry).collect::<Result<Vec<_>, _>>()?;
        managers.sort_by_key(|manager| manager.index);
        check_indexes(&managers)?;
        let mut groups: Vec<KeyGroup> = self.groups.iter().map(group).collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        let bundle = Bundle {
            deployment: uid("deployment", &self.deployment)?,
            version,
            issued_at,
            accounts: self.accounts.iter().map(|text| account(text)).collect::<Result<_, _>>()?,
            managers,
            permit_keys: self.permit_keys.iter().map(permit_key).collect::<Result<_, _>>()?,
            clusters: self.clusters.iter().map(DraftCluster::cluster).collect::<Result<_, _>>()?,
            groups,
            account_caps: self.account_caps.into(),
            cache_ttl_seconds_max: self.cache_ttl_seconds_max,
            destroy_delay_seconds: self.destroy_delay_seconds,
            witnesses: keys("witnesses", &self.witnesses)?,
            recovery_key: self.recovery_key()?,
            controls: self.controls()?,
        };
        self.check_fits(&bundle)?;
        Ok(bundle)
    }

    fn controls(&self) -> Result<Vec<ControlEntry>, Exit> {
        let entry = |entry: &super::DraftControl| {
            let what = format!("control {}", entry.name);
            Ok(ControlEntry {
                tls_spki_sha256: hash(&what, &entry.tls_spki_sha256)?,
                address: address(&what, &entry.address)?,
            })
        };
        self.controls.iter().map(entry).collect()
    }

    fn recovery_key(&self) -> Result<Option<Vec<u8>>, Exit> {
        let Some(text) = &self.recovery_key else { return Ok(None) };
        let bytes = hex::decode(text).ok();
        let bytes = bytes.filter(|key| (1..=RECOVERY_KEY_BYTES_MAX).contains(&key.len()));
        bytes.map(Some).ok_or_else(|| wrong("recovery_key", text, "hexadecimal digits of a key"))
    }

    /// Two machines with one name would be mixed up by the next command.
    fn check_names(&self) -> Result<(), Exit> {
        let gateways = self.clusters.iter().flat_map(|cluster| &cluster.gateways);
        let machines = self.managers.iter().map(|manager| &manager.name);
        let machines = machines.chain(self.controls.iter().map(|control| &control.name));
        let mut machines: Vec<&String> =
            machines.chain(gateways.map(|gateway| &gateway.name)).collect();
        let mut clusters: Vec<&String> = self.clusters.iter().map(|c| &c.name).collect();
        for names in [&mut machines, &mut clusters] {
            names.sort_unstable();
            if let Some(bad) = names.iter().find(|name| !is_name(name)) {
                let allowed = "1 to 64 letters, digits, '-', '_' and '.'";
                return Err(wrong("a name", bad, allowed));
            }
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Exit::Configuration(format!("two entries have the name {}", pair[0])));
            }
        }
        Ok(())
    }

    /// What the strict reading of a bundle would refuse without saying why.
    fn check_fits(&self, bundle: &Bundle) -> Result<(), Exit> {
        for cluster in &self.clusters {
            if let Some(name) = cluster.groups.iter().find(|name| bundle.group(name).is_none()) {
                let allowed = "the name of a [[group]]";
                return Err(wrong(&format!("cluster {}: group", cluster.name), name, allowed));
            }
        }
        if let Some(pair) = bundle.groups.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Exit::Configuration(format!("two groups are named '{}'", pair[0].name)));
        }
        let names = self.names();
        let managers = bundle.managers.iter().map(|manager| manager.tls_spki_sha256);
        let gateways = bundle.clusters.iter().flat_map(|cluster| cluster.instances.iter().copied());
        let controls = bundle.controls.iter().map(|control| control.tls_spki_sha256);
        let mut machines: Vec<[u8; 32]> = managers.chain(gateways).chain(controls).collect();
        machines.sort_unstable();
        if let Some(pair) = machines.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Exit::Configuration(format!(
                "{} is listed twice; a machine has one place",
                names.machine(&pair[0])
            )));
        }
        Bundle::from_bytes(&bundle.to_bytes()).map(|_| ()).map_err(|refusal| {
            Exit::Configuration(format!("the draft does not make a trust bundle: {refusal}"))
        })
    }
}

impl DraftManager {
    fn entry(&self) -> Result<ManagerEntry, Exit> {
        let what = format!("manager {}", self.name);
        let index = ManagerIndex::new(self.index).ok_or_else(|| {
            let allowed = format!("1 to {MANAGERS_MAX}");
            wrong(&format!("{what}: index"), &self.index.to_string(), &allowed)
        })?;
        Ok(ManagerEntry {
            index,
            key: key(&what, &self.key)?,
            tls_spki_sha256: self.tls()?,
            former_keys: keys(&format!("{what}: former_keys"), &self.former_keys)?,
            address: address(&what, &self.address)?,
        })
    }

    /// The hash of its TLS key.
    pub(in crate::owner) fn tls(&self) -> Result<[u8; 32], Exit> {
        let what = format!("manager {}", self.name);
        match &self.tls_spki_sha256 {
            Some(text) => hash(&what, text),
            None => key(&what, &self.key).map(|key| key.spki_sha256()),
        }
    }
}

impl DraftCluster {
    fn cluster(&self) -> Result<Cluster, Exit> {
        let what = format!("cluster {}", self.name);
        let gateway = |gateway: &super::DraftGateway| {
            hash(&format!("gateway {}", gateway.name), &gateway.tls_spki_sha256)
        };
        let cluster_key = self.cluster_key.as_ref();
        let fragment = |text: &String| {
            // People copy the id as the fragment's file shows it.
            uid(&format!("{what}: fragments"), text.strip_prefix("cf-").unwrap_or(text))
        };
        Ok(Cluster {
            id: uid(&what, &self.id)?,
            instances: self.gateways.iter().map(gateway).collect::<Result<_, _>>()?,
            cluster_key: cluster_key.map(|text| key(&what, text)).transpose()?,
            groups: self.groups.clone(),
            fragments: self.fragments.iter().map(fragment).collect::<Result<_, _>>()?,
            ops: ops(&what, &self.ops)?,
            caps: self.caps.into(),
        })
    }
}

/// The name of an operation in a draft.
pub(super) fn op_name(op: Op) -> String {
    format!("{op:?}").to_ascii_lowercase()
}

fn ops(what: &str, names: &[String]) -> Result<Vec<Op>, Exit> {
    if matches!(names, [all] if all == "all") {
        return Ok(Op::ALL.to_vec());
    }
    let by_name = |name: &String| {
        Op::ALL.into_iter().find(|op| op_name(*op) == *name).ok_or_else(|| {
            let known: Vec<String> = Op::ALL.into_iter().map(op_name).collect();
            wrong(&format!("{what}: ops"), name, &format!("all, or of {}", known.join(", ")))
        })
    };
    names.iter().map(by_name).collect()
}

fn group(group: &super::DraftGroup) -> KeyGroup {
    KeyGroup {
        name: group.name.clone(),
        fragment_required: group.fragment_required,
        caps: group.caps.into(),
        key_caps: group.key_caps.into(),
    }
}

fn permit_key(entry: &DraftPermitKey) -> Result<PermitKey, Exit> {
    let time = |text: &String| {
        let allowed = "a time such as 2026-01-05T10:11:12Z";
        Timestamp::parse_rfc3339(text).ok_or_else(|| wrong("permit-key", text, allowed))
    };
    let period = PermitKey {
        key: key("permit-key", &entry.key)?,
        not_before: time(&entry.not_before)?,
        not_after: time(&entry.not_after)?,
    };
    if period.not_before > period.not_after {
        return Err(wrong("permit-key: not_after", &entry.not_after, "later than not_before"));
    }
    Ok(period)
}

fn check_indexes(managers: &[ManagerEntry]) -> Result<(), Exit> {
    for (place, manager) in managers.iter().enumerate() {
        if manager.index.place() != place {
            return Err(Exit::Configuration(format!(
                "manager {} is missing: the indexes are 1, 2, 3 and so on, each once",
                place + 1
            )));
        }
    }
    Ok(())
}

fn account(text: &str) -> Result<AccountId, Exit> {
    AccountId::parse(text).map_err(|_| wrong("accounts", text, "acc- and 32 hexadecimal digits"))
}

fn uid(what: &str, text: &str) -> Result<Uid, Exit> {
    Uid::parse(text).map_err(|_| wrong(what, text, "an id of 32 hexadecimal digits"))
}

/// A public key in hexadecimal digits.
pub(in crate::owner) fn key(what: &str, text: &str) -> Result<PublicKey, Exit> {
    keysherd_fragments::owner_key::from_hex(text)
        .ok_or_else(|| wrong(&format!("{what}: key"), text, "64 hexadecimal digits"))
}

fn keys(what: &str, texts: &[String]) -> Result<Vec<PublicKey>, Exit> {
    texts.iter().map(|text| key(what, text)).collect()
}

/// A SHA-256 in hexadecimal digits.
pub(in crate::owner) fn hash(what: &str, text: &str) -> Result<[u8; 32], Exit> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash)
        .map_err(|_| wrong(&format!("{what}: tls_spki_sha256"), text, "64 hexadecimal digits"))?;
    Ok(hash)
}

fn address(what: &str, text: &str) -> Result<String, Exit> {
    if text.is_empty() || is_address(text) {
        return Ok(text.to_owned());
    }
    Err(wrong(&format!("{what}: address"), text, "host:port, or empty"))
}

fn wrong(what: &str, value: &str, allowed: &str) -> Exit {
    Exit::Configuration(format!("{what} is '{value}'; it must be {allowed}"))
}
