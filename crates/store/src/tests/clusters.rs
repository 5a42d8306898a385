//! Clusters, their instances, and that a configuration is replaced only by who knows it.

use std::sync::Arc;

use keysherd_base::{AccessId, FaultKind, Uid};
use keysherd_domain::cluster::{Cluster, Instance};
use keysherd_domain::item::NameTag;
use keysherd_domain::lease::{Holder, Lease};

use super::fixture::*;
use crate::clusters::{self, ConfigKey, StoredConfig};
use crate::leases;

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
    let name_tag = Some(NameTag([u8::try_from(version).unwrap(); 32]));
    StoredConfig { version, key, ciphertext: Arc::from(text), name_tag }
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

#[test]
fn leases_and_places_are_kept_until_their_cluster_goes() {
    let Fixture { store, folder: _folder, .. } = Fixture::new();
    let id = done(&store, |tx| clusters::insert(tx, &cluster("prod")));
    let holder = Holder { spki_sha256: [1; 32], process: Uid([2; 16]) };
    let get = |name| store.read(|reader| leases::get(reader, id, name)).unwrap();
    assert_eq!(get("forward"), None);
    for fence in [1, 2] {
        let lease = Lease { holder, fence, ends: NOW };
        done(&store, move |tx| leases::put(tx, id, "forward", &lease));
        assert_eq!((get("forward"), get("other")), (Some(lease), None));
    }
    for (name, body) in [("b", "1"), ("a", "2"), ("b", "3")] {
        done(&store, move |tx| leases::put_place(tx, id, "forward", name, body));
    }
    let places = |limit| store.read(|reader| leases::places(reader, id, "forward", limit)).unwrap();
    let pair = |name: &str, body: &str| (name.to_owned(), body.to_owned());
    assert_eq!(places(9), [pair("a", "2"), pair("b", "3")]);
    assert_eq!(places(1), [pair("a", "2")]);
    assert_eq!(store.read(|reader| leases::count_places(reader, id, "forward")).unwrap(), 2);
    let forget = move |tx: &crate::Tx| leases::delete_place(tx, id, "forward", "a");
    assert_eq!((done(&store, forget), done(&store, forget)), (true, false));
    // Nobody keeps anything for a cluster that is gone.
    done(&store, move |tx| clusters::delete(tx, ACCOUNT, id));
    assert_eq!((get("forward"), places(9)), (None, Vec::new()));
    let lease = Lease { holder, fence: 3, ends: NOW };
    change(&store, move |tx| leases::put(tx, id, "forward", &lease)).unwrap_err();
}
