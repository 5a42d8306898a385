//! The draft of a trust bundle, as TOML that people read and edit.
//!
//! It says all that a bundle says, and besides what people call the machines. Names are for people
//! only: they are not signed and no machine reads them.

use std::collections::BTreeMap;

use keysherd_base::Uid;
use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_fragments::bundle::{Bundle, Caps};
use serde::{Deserialize, Serialize};

mod read;
mod write;

#[cfg(test)]
mod tests;

pub(super) use read::hash;
pub(super) use write::permit_key;

/// Largest draft: a bundle has at most 1 MiB, and text takes more.
pub(super) const DRAFT_BYTES_MAX: usize = 4 * 1024 * 1024;

const HEAD: &str = "\
# Whom the machines of this installation believe. After a change: keysherd owner sign
# Comments that you add are not kept when a command changes this file.

";

/// The draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    pub(super) deployment: String,
    /// Empty: every account.
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    pub(super) cache_ttl_seconds_max: u32,
    pub(super) destroy_delay_seconds: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) witnesses: Vec<String>,
    /// Hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recovery_key: Option<String>,
    #[serde(default)]
    pub(super) account_caps: DraftCaps,
    #[serde(default, rename = "control", skip_serializing_if = "Vec::is_empty")]
    pub(super) controls: Vec<DraftControl>,
    #[serde(default, rename = "permit-key", skip_serializing_if = "Vec::is_empty")]
    pub(super) permit_keys: Vec<DraftPermitKey>,
    #[serde(default, rename = "manager", skip_serializing_if = "Vec::is_empty")]
    pub(super) managers: Vec<DraftManager>,
    #[serde(default, rename = "group", skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<DraftGroup>,
    #[serde(default, rename = "cluster", skip_serializing_if = "Vec::is_empty")]
    pub(super) clusters: Vec<DraftCluster>,
}

/// Caps; what is absent has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftCaps {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) derivations_per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) items_per_hour: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) items_per_day: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftControl {
    pub(super) name: String,
    #[serde(default)]
    pub(super) address: String,
    pub(super) tls_spki_sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftPermitKey {
    pub(super) key: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftManager {
    pub(super) index: u8,
    pub(super) name: String,
    #[serde(default)]
    pub(super) address: String,
    pub(super) key: String,
    /// Absent: that of the key, which is what a manager's own certificate has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tls_spki_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftGroup {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fragment_required: bool,
    #[serde(default)]
    pub(super) caps: DraftCaps,
    #[serde(default)]
    pub(super) key_caps: DraftCaps,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftCluster {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) fragments: Vec<String>,
    /// `all`, or the operations by name.
    pub(super) ops: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cluster_key: Option<String>,
    #[serde(default)]
    pub(super) caps: DraftCaps,
    #[serde(default, rename = "gateway", skip_serializing_if = "Vec::is_empty")]
    pub(super) gateways: Vec<DraftGateway>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftGateway {
    pub(super) name: String,
    pub(super) tls_spki_sha256: String,
}

impl From<Caps> for DraftCaps {
    fn from(caps: Caps) -> Self {
        let given = |cap: u32| (cap != u32::MAX).then_some(cap);
        Self {
            derivations_per_second: given(caps.derivations_per_second),
            items_per_hour: given(caps.items_per_hour),
            items_per_day: given(caps.items_per_day),
        }
    }
}

impl From<DraftCaps> for Caps {
    fn from(caps: DraftCaps) -> Self {
        let taken = |cap: Option<u32>| cap.unwrap_or(u32::MAX);
        Self {
            derivations_per_second: taken(caps.derivations_per_second),
            items_per_hour: taken(caps.items_per_hour),
            items_per_day: taken(caps.items_per_day),
        }
    }
}

/// What people call machines and clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    machines: BTreeMap<[u8; 32], String>,
    clusters: BTreeMap<Uid, String>,
}

impl Names {
    /// The name of the machine whose TLS key has this hash, and its fingerprint.
    pub(super) fn machine(&self, spki_sha256: &[u8; 32]) -> String {
        let fingerprint = Fingerprint::of_spki_sha256(spki_sha256);
        match self.machines.get(spki_sha256) {
            Some(name) => format!("{name} ({fingerprint})"),
            None => fingerprint.to_string(),
        }
    }

    /// The name of a cluster.
    pub(super) fn cluster(&self, id: &Uid) -> String {
        self.clusters.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Adds the names of `other` where there are none.
    pub(super) fn fill_from(&mut self, other: Self) {
        for (hash, name) in other.machines {
            self.machines.entry(hash).or_insert(name);
        }
        for (id, name) in other.clusters {
            self.clusters.entry(id).or_insert(name);
        }
    }
}

impl Draft {
    /// Reads TOML.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The names in the draft, as far as they can be read.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for manager in &self.managers {
            if let Ok(tls) = manager.tls() {
                names.machines.insert(tls, manager.name.clone());
            }
        }
        let gateways = self.clusters.iter().flat_map(|cluster| &cluster.gateways);
        let gateways = gateways.map(|gateway| (&gateway.tls_spki_sha256, &gateway.name));
        let controls = self.controls.iter().map(|entry| (&entry.tls_spki_sha256, &entry.name));
        for (text, name) in gateways.chain(controls) {
            if let Ok(tls) = hash("", text) {
                names.machines.insert(tls, name.clone());
            }
        }
        for cluster in &self.clusters {
            if let Some(id) = Uid::from_hex(&cluster.id) {
                names.clusters.insert(id, cluster.name.clone());
            }
        }
        names
    }

    /// A draft without machines, for a new deployment.
    pub(super) fn empty(deployment: Uid, cluster: Uid) -> Self {
        let group = DraftGroup {
            name: "default".to_owned(),
            fragment_required: false,
            caps: DraftCaps::default(),
            key_caps: DraftCaps::default(),
        };
        let cluster = DraftCluster {
            name: "main".to_owned(),
            id: cluster.to_string(),
            groups: vec![group.name.clone()],
            fragments: Vec::new(),
            ops: vec!["all".to_owned()],
            cluster_key: None,
            caps: CLUSTER_CAPS,
            gateways: Vec::new(),
        };
        Self {
            deployment: deployment.to_string(),
            accounts: Vec::new(),
            cache_ttl_seconds_max: 60,
            destroy_delay_seconds: 7 * 86_400,
            witnesses: Vec::new(),
            recovery_key: None,
            account_caps: DraftCaps::default(),
            controls: Vec::new(),
            permit_keys: Vec::new(),
            managers: Vec::new(),
            groups: vec![group],
            clusters: vec![cluster],
        }
    }

    /// The draft that says what `bundle` says. `named` gives the names that people know.
    pub(super) fn of_bundle(bundle: &Bundle, named: Option<&Names>) -> Self {
        write::draft_of(bundle, named)
    }

    /// The TOML.
    pub(super) fn to_text(&self) -> Result<String, crate::exit::Exit> {
        let text = toml::to_string(self).map_err(|error| {
            crate::exit::Exit::Damaged(format!("the draft cannot be written: {error}"))
        })?;
        Ok(format!("{HEAD}{text}"))
    }
}

/// What a new cluster may derive: far more than a busy one does, and still an end to what a control
/// plane that was taken over can have opened through it.
const CLUSTER_CAPS: DraftCaps = DraftCaps {
    derivations_per_second: Some(20_000),
    items_per_hour: Some(200_000),
    items_per_day: Some(500_000),
};
