//! Gateways as clusters: instances that share one identity, and with it one configuration.
//!
//! A cluster is known by three things together: its account, the access id that its instances sign
//! in with, and its name. Another access id or another name is another cluster, which starts empty.

use keysherd_base::{AccessId, AccountId, BadPath, ItemId, ItemPath, Timestamp, Uid};
use serde::{Deserialize, Serialize};

/// The name of a cluster whose operator chose none.
pub const DEFAULT_NAME: &str = "defaultCluster";
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Before the paths of configurations. No item's value may be attested below it.
const CONFIGS: &str = "/.gateway-clusters/";

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its number; never used again.
    pub id: i64,
    /// What its configuration is sealed for.
    pub uid: Uid,
    /// The account it belongs to.
    pub account: AccountId,
    /// What its instances sign in with.
    pub access_id: AccessId,
    /// Its name under that access id.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Where clients find it; empty when nobody said.
    pub url: String,
    /// The key item that its configuration is sealed under; `None`: the account's default key.
    #[serde(default)]
    pub protection_key: Option<ItemId>,
    /// When its first instance registered.
    pub created: Timestamp,
}

/// One process of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// SHA-256 of the `SubjectPublicKeyInfo` of its key, which its connection proves.
    pub spki_sha256: [u8; 32],
    /// The cluster it is in.
    pub cluster: i64,
    /// The machine it says it runs on.
    pub host: String,
    /// The program's version.
    pub program: String,
    /// The customer fragments it holds.
    pub fragments: Vec<FragmentNote>,
    /// When it joined this cluster.
    pub registered: Timestamp,
}

/// What is told of a customer fragment; nothing of its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FragmentNote {
    /// Its id as people see it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// By which people compare it; empty until it is known.
    pub fingerprint: String,
}

impl Cluster {
    /// The three parts as one text: `acc-.../p-.../name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.account, self.access_id, self.name)
    }

    /// Whether somebody who writes `text` means this cluster: its full name, or its name alone.
    pub fn is_called(&self, text: &str) -> bool {
        self.name == text || self.full_name() == text
    }
}

/// Where the configuration of a cluster would lie if it were an item. It is none: the text stands
/// for it in audit records, and is what a gateway attests when it seals one. It is made of what a
/// gateway knows without control.
///
/// # Errors
/// [`BadPath`] for a name that [`is_name`] does not take.
pub fn config_path(access_id: &AccessId, name: &str) -> Result<ItemPath, BadPath> {
    ItemPath::parse(&format!("{CONFIGS}{access_id}.{name}"))
}

/// Whether only the configuration of a cluster may be attested under `path`.
pub fn is_config_path(path: &ItemPath) -> bool {
    path.as_str().starts_with(CONFIGS)
}

/// Whether `name` can be the name of a cluster: 1 to 128 letters, digits, `-`, `_` and `.`.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_mistaken_for_other_parts() {
        for good in [DEFAULT_NAME, "prod-eu.1", "a", "A_b"] {
            assert!(is_name(good), "{good}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", "a/b", "a b", "ä", "a\n", &long] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn each_cluster_has_a_path_of_its_own_for_its_configuration() {
        let [one, other] = ["p-0123456789ab", "p-0123456789abcd"].map(AccessId::parse);
        let (one, other) = (one.unwrap(), other.unwrap());
        let long = "x".repeat(NAME_BYTES_MAX);
        let mut known = std::collections::BTreeSet::new();
        for id in [&one, &other] {
            for name in ["a", ".", "..", "cd.a", ".a", &long] {
                assert!(is_name(name));
                let path = config_path(id, name).unwrap();
                assert!(is_config_path(&path) && known.insert(path), "{name}");
            }
        }
        for other in ["/.gateway-clusters", "/a/.gateway-clusters/x", "/.gateway-clusters-2/x"] {
            assert!(!is_config_path(&ItemPath::parse(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn a_cluster_answers_to_both_of_its_names() {
        let cluster = Cluster {
            id: 1,
            uid: Uid::default(),
            account: AccountId::default(),
            access_id: AccessId::parse("p-0123456789ab").unwrap(),
            name: "prod".to_owned(),
            display_name: "Production".to_owned(),
            url: String::new(),
            protection_key: None,
            created: Timestamp(0),
        };
        let full = format!("{}/p-0123456789ab/prod", AccountId::default());
        assert_eq!(cluster.full_name(), full);
        assert!(cluster.is_called("prod") && cluster.is_called(&full));
        assert!(!cluster.is_called("Production") && !cluster.is_called("p-0123456789ab/prod"));
    }
}
