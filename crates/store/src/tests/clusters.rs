//! Clusters, their instances, and that a configuration is replaced only by who knows it.

use std::sync::Arc;

use keysherd_base::{AccessId, FaultKind, Uid};
use keysherd_domain::cluster::{Cluster, Instance};

use super::fixture::*;
use crate::clusters::{self, ConfigKey, StoredConfig};

fn cluster(name: &str) -> Cluster {
    Cluster {
        id: 0,
        uid: Uid([3; 16]),
        account: ACCOUNT,
        access_id: AccessId::parse("p-0123456789ab").unwrap(),
        name: name.to_owned(),
        display_name: "ours".to_owned(),
        url: String::new(),
        protection_key: None,
        created: NOW,
    }
}

fn instance(cluster: i64, number: u8) -> Instance {
    Instance {
        spki_sha256: [number; 32],
        cluster,
        host: "gw".to_owned(),
        program: "1".to_owned(),
        fragments: Vec::new(),
        registered: NOW,
    }
}

fn sealed(version: u32, text: &[u8]) -> StoredConfig {
    let key = ConfigKey { key_id: KEY, version: 7, customer_fragment: None };
    StoredConfig { version, key, ciphertext: Arc::from(text) }
}

#[test]
fn a_configuration_is_replaced_only_by_the_next_one() {
    let Fixture { store, folder: _folder, .. } = Fixture::new();
    let id = done(&store, |tx| clusters::insert(tx, &cluster("prod")));
    let read = || store.read(|reader| clusters::config(reader, id)).unwrap();
    assert_eq!((read(), store.read(|r| clusters::config_version(r, id)).unwrap()), (None, Some(0)));
    let put = |version: u32, text: &'static [u8]| {
        done(&store, move |tx| clusters::put_config(tx, id, &sealed(version, text)))
    };
    assert!(!put(0, b"none") && !put(2, b"early"));
    assert!(put(1, b"first"));
    assert!(!put(1, b"at the same time") && !put(3, b"early"));
    assert_eq!(read(), Some(sealed(1, b"first")));
    assert!(put(2, b"second"));
    assert_eq!(read(), Some(sealed(2, b"second")));
    assert_eq!(store.read(|reader| clusters::config_version(reader, id + 1)).unwrap(), None);
}

#[test]
fn an_identity_is_one_cluster_and_goes_with_everything_in_it() {
    let Fixture { store, folder: _folder, .. } = Fixture::new();
    let id = done(&store, |tx| clusters::insert(tx, &cluster("prod")));
    let taken = change(&store, |tx| clusters::insert(tx, &cluster("prod")));
    assert_eq!(taken.unwrap_err().kind(), FaultKind::Conflict);
    let other = done(&store, |tx| clusters::insert(tx, &cluster("test")));
    done(&store, move |tx| clusters::put_instance(tx, &instance(id, 1), NOW));
    done(&store, move |tx| clusters::put_instance(tx, &instance(id, 2), NOW));
    done(&store, move |tx| clusters::put_instance(tx, &instance(other, 2), NOW.plus_seconds(9)));
    let count = |id| store.read(|reader| clusters::count_instances(reader, id)).unwrap();
    assert_eq!((count(id), count(other)), (1, 1));
    // A note from the past does not make an instance older.
    done(&store, |tx| clusters::note_seen(tx, &[2; 32], NOW));
    let (_, seen) = store.read(|reader| clusters::instance(reader, &[2; 32])).unwrap().unwrap();
    assert_eq!(seen, NOW.plus_seconds(9));
    done(&store, move |tx| clusters::forget_instances(tx, id, NOW.plus_seconds(1)));
    assert_eq!((count(id), count(other)), (0, 1));
    assert!(!done(&store, move |tx| clusters::delete(tx, OTHER, other)));
    assert!(done(&store, move |tx| clusters::delete(tx, ACCOUNT, other)));
    assert!(store.read(|reader| clusters::instance(reader, &[2; 32])).unwrap().is_none());
    let left = store.read(|reader| clusters::of_account(reader, ACCOUNT, 10)).unwrap();
    assert_eq!(left.iter().map(|cluster| cluster.id).collect::<Vec<_>>(), [id]);
}
