//! A gateway that is killed while control is away for long, and holds its customer fragment.

use std::fs;

use serde_json::json;

use super::cold::{allow, copy, never_read, start_alone, take_key};
use crate::caching::{get, recorded, until_kept, until_settled};
use crate::kit::{Api, Cluster, ClusterWish, Needles, Person, documents_in, wait_until};
use crate::stolen::derived_with;

const VALUE: &str = "a-value-that-nobody-else-has-4711";
const MINUTE: i64 = 60;

/// Everything on the way to the value, by the second implementation.
fn needles(cluster: &Cluster, item: i64) -> Needles {
    let fragment = cluster.fragment.as_ref().unwrap();
    let fragments = [(&fragment.id[3..], &*hex::encode(&fragment.value))];
    let document = documents_in(&cluster.control.data, item).pop().unwrap();
    let keys = derived_with(&document, &cluster.stolen_shares(), &fragments);
    keys.and(Needles::of("value", VALUE.as_bytes()))
}

/// Only root may look into the memory of roles.
fn look_into_memory(cluster: &Cluster, needles: &Needles) {
    if rustix::process::geteuid().is_root() {
        let found = needles.found_in_memory_of(cluster.gateway.running().pid());
        assert_eq!(found, Vec::<String>::new());
    }
}

/// The gateway and the managers have clocks of their own from now on.
fn take_clocks(cluster: &mut Cluster) {
    let Cluster { managers, gateway, site, .. } = cluster;
    for node in managers.iter_mut().chain([gateway]) {
        node.stop();
        node.take_clock();
        node.start(site);
    }
}

fn set_clocks(cluster: &Cluster, ahead: i64) {
    let nodes = cluster.managers.iter().chain([&cluster.gateway]);
    nodes.for_each(|node| node.set_clock(ahead));
}

/// A deployment whose gateway has a customer fragment and a key for copies; an administrator; and a
/// person who may read `/shop/*` for half an hour without control: `/shop/db` is bound to the
/// fragment, `/shop/plain` is not.
fn started() -> (Cluster, Api, Person) {
    let gateway = vec!["--cache".to_owned()];
    let wish = ClusterWish { gateway, customer_fragment: true, ..Default::default() };
    let mut cluster = Cluster::start_with(&wish);
    let admin = cluster.admin();
    let fragment = &cluster.fragment.as_ref().unwrap().id;
    let key = json!({"name": "/keys/bound", "alg": "AES256GCM", "customer-frg-id": fragment});
    admin.ok("create-dfc-key", key);
    let bound = json!({"name": "/shop/db", "value": VALUE, "protection_key": "/keys/bound"});
    admin.ok("create-secret", bound);
    admin.store("/shop/plain", "not bound");
    let person = admin.person_who_may("/people/one", &[("item-rule", "/shop/*", "read")]);
    allow(&admin, &person, 30);
    take_key(&cluster.site, &mut cluster.gateway);
    take_clocks(&mut cluster);
    cluster.wait_until_healthy();
    (cluster, admin, person)
}

#[test]
fn with_its_customer_fragment_a_gateway_reads_on_long_after_control_was_lost() {
    let (mut cluster, admin, person) = started();
    let item = admin.describe("/shop/db")["item_id"].as_i64().unwrap();
    let path = copy(&cluster.gateway);
    wait_until("a copy", || {
        until_kept(&person.api, "/shop/plain");
        until_kept(&person.api, "/shop/db");
        path.exists()
    });
    until_settled(&[&person.api], &["/shop/plain", "/shop/db"]);
    // Once control is lost, everything that is kept gets into a copy.
    let before = fs::read(&path).unwrap();
    let needles = needles(&cluster, item);
    cluster.control.kill();
    wait_until("a copy of all of it", || {
        get(&person.api, "/shop/db");
        fs::read(&path).is_ok_and(|now| now != before)
    });
    let said = cluster.gateway.running().err();
    assert!(said.contains("has opened keys, sealed under customer fragments"), "{said}");
    assert_eq!(needles.found_below(&cluster.gateway.data), Vec::<String>::new());

    let mut answered = Vec::new();
    for minutes in [5, 20] {
        set_clocks(&cluster, minutes * MINUTE);
        start_alone(&mut cluster);
        wait_until("the keys of the copy to be opened", || {
            cluster.gateway.running().err().contains("keys of the copy of reads")
        });
        look_into_memory(&cluster, &needles);
        for _ in 0..3 {
            let reply = get(&person.api, "/shop/db");
            assert_eq!((reply.status, &reply.json()["/shop/db"]), (200, &json!(VALUE)));
            answered.push(reply.request_id());
        }
        // Managers take no permit any more, and no key of this one is on the disk.
        assert_eq!(get(&person.api, "/shop/plain").status, 503);
    }
    // Whoever took the machine's disk and the operator's key, and has not the fragment.
    let fragments = cluster.gateway.data.join("customer_fragments.json");
    let held = fs::read(&fragments).unwrap();
    cluster.gateway.write_secret("customer_fragments.json", r#"{"customer_fragments": []}"#);
    start_alone(&mut cluster);
    never_read(&person.api);
    let said = cluster.gateway.running().err();
    assert!(said.contains("keys of the copy of reads stay sealed"), "{said}");
    fs::write(&fragments, held).unwrap();

    // The policy's half hour is over.
    set_clocks(&cluster, 31 * MINUTE);
    start_alone(&mut cluster);
    never_read(&person.api);
    set_clocks(&cluster, 0);
    cluster.control.start(&cluster.site);
    wait_until("the reads to be in the audit log", || {
        let reached = get(&admin, "/shop/db").status == 200;
        let counts = if reached { recorded(&admin) } else { Default::default() };
        answered.iter().all(|request| counts.get(request) == Some(&(1, 0)))
    });
    cluster.gateway.stop();
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}
