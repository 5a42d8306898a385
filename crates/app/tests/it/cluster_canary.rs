//! Planted values, and every key on the way to them, are nowhere in control and the managers: not
//! in memory, files and logs, and not on their wires.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::kit::{Cluster, ClusterWish, Needles, Node, documents_in, in_full, random, wait_until};
use crate::stolen::derived_with;

/// Secrets that are planted in the short form and in the long one, which takes minutes.
const SECRETS: (usize, usize) = (200, 1_000);
/// Those whose derived keys are looked for as well: each is derived anew by the second
/// implementation, which takes a moment.
const DERIVED: usize = 6;
/// Names in one call that reads.
const NAMES_PER_READ: usize = 100;

/// A secret, and the value its newest version has.
struct Planted {
    name: String,
    value: String,
}

/// Writes, overwrites and reads all of them; half are bound to the customer fragment.
fn plant(cluster: &Cluster) -> Vec<Planted> {
    let admin = cluster.admin();
    let fragment = &cluster.fragment.as_ref().unwrap().id;
    let args = json!({"name": "/keys/bound", "alg": "AES256GCM", "customer-frg-id": fragment});
    admin.ok("create-dfc-key", args);
    let count = if in_full() { SECRETS.1 } else { SECRETS.0 };
    let planted: Vec<Planted> = (0..count)
        .map(|number| Planted {
            name: format!("/canaries/{number}"),
            value: format!("canary{:016x}{:016x}", random(), random()),
        })
        .collect();
    for (number, Planted { name, value }) in planted.iter().enumerate() {
        let mut args = json!({"name": name, "value": value});
        if number % 2 == 0 {
            args["protection_key"] = "/keys/bound".into();
        }
        admin.ok("create-secret", args);
    }
    for some in planted.chunks(NAMES_PER_READ) {
        let names: Vec<&str> = some.iter().map(|planted| planted.name.as_str()).collect();
        let values = admin.ok("get-secret-value", json!({"names": names}));
        for Planted { name, value } in some {
            assert_eq!(values[name], value.as_str());
        }
    }
    for Planted { name, value } in planted.iter().take(DERIVED) {
        admin.add_version(name, &format!("{value} again"));
        assert_eq!(admin.read(name), format!("{value} again"));
    }
    let message = json!({"key-name": "/keys/bound", "plaintext": planted[0].value});
    let sealed = admin.ok("encrypt", message)["result"].take();
    admin.ok("decrypt", json!({"key-name": "/keys/bound", "ciphertext": sealed}));
    planted
}

/// Rotates the keys, and waits until everything is wrapped anew.
fn rotate(cluster: &Cluster) {
    let admin = cluster.admin();
    admin.ok("rotate-key", json!({"name": "/keys/bound"}));
    wait_until("everything to be wrapped anew", || {
        let status = admin.ok("rewrap-status", json!({"name": "/keys/bound"}));
        status["rotation"]["finished"].is_string()
    });
    admin.ok("refresh-key", json!({"name": "/keys/bound"}));
}

/// The stored documents of those whose derived keys are looked for.
fn documents(cluster: &Cluster, planted: &[Planted]) -> Vec<Vec<u8>> {
    let admin = cluster.admin();
    let some = planted.iter().take(DERIVED);
    let ids = some.map(|planted| admin.describe(&planted.name)["item_id"].as_i64().unwrap());
    ids.flat_map(|id| documents_in(&cluster.control.data, id)).collect()
}

/// Everything that may be nowhere but in the gateway.
fn needles(cluster: &Cluster, planted: &[Planted], documents: &[Vec<u8>]) -> Needles {
    let fragment = cluster.fragment.as_ref().unwrap();
    let fragments = [(&fragment.id[3..], &*hex::encode(&fragment.value))];
    let mut needles = Needles::of("customer fragment", &fragment.value);
    for Planted { name, value } in planted {
        needles = needles.and(Needles::plain(name, value.as_bytes()));
    }
    let shares = cluster.stolen_shares();
    for Planted { name, value } in planted.iter().take(DERIVED) {
        needles = needles.and(Needles::of(name, value.as_bytes()));
    }
    for document in documents {
        needles = needles.and(derived_with(document, &shares, &fragments));
    }
    needles
}

#[test]
fn t_canaries_are_in_no_process_but_the_gateway() {
    let wish = ClusterWish { wires: true, customer_fragment: true, ..ClusterWish::default() };
    let cluster = Cluster::start_with(&wish);
    let planted = plant(&cluster);
    let mut documents_seen = documents(&cluster, &planted);
    rotate(&cluster);
    documents_seen.extend(documents(&cluster, &planted));
    let needles = needles(&cluster, &planted, &documents_seen);
    for node in cluster.blind() {
        let wire = node.wire.as_ref().unwrap().recorded();
        assert_eq!(needles.found_in(&wire), Vec::<&str>::new(), "on a wire of {:?}", node.data);
    }
    // All files of all roles, and what they logged.
    for node in cluster.nodes() {
        let file = node.data.join("customer_fragments.json");
        let found = needles.found_below(&node.data);
        let elsewhere: Vec<_> =
            found.iter().filter(|place| !place.ends_with(file.to_str().unwrap())).collect();
        assert_eq!(elsewhere, Vec::<&String>::new());
        let logged = format!("{}{}", node.running().out(), node.running().err());
        assert_eq!(needles.found_in(logged.as_bytes()), Vec::<&str>::new());
    }
    look_into_memory(&cluster, &needles);
    the_search_would_have_found_them(&cluster, &needles, &planted);
}

/// Only root may look into the memory of roles; whoever else runs the tests has seen files and
/// wires by now.
fn look_into_memory(cluster: &Cluster, needles: &Needles) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let found = needles.found_in_memory_of(cluster.control.running().pid());
    assert_eq!(found, Vec::<String>::new(), "in control");
    // A manager makes partial values, its own. They are wiped where it holds them; the libraries
    // that carry them away may keep a copy in a buffer for a while, and one alone opens nothing.
    let whole = needles.without("partial");
    for manager in &cluster.managers {
        let found = whole.found_in_memory_of(manager.running().pid());
        assert_eq!(found, Vec::<String>::new(), "in {:?}", manager.data);
    }
    // The control: a manager holds its own fragments, which the same search finds in it.
    let shares = cluster.stolen_shares();
    let of = |node: &Node, manager: u64| {
        let share = shares.iter().find(|share| share.value["manager"] == manager).unwrap();
        let held = share.value["s"].as_object().unwrap().values().next().unwrap();
        let held = Needles::of("fragment", &hex::decode(held.as_str().unwrap()).unwrap());
        !held.found_in_memory_of(node.running().pid()).is_empty()
    };
    assert!(of(&cluster.managers[0], 1), "the search sees nothing");
    assert!(!of(&cluster.control, 1), "control holds a fragment");
}

/// The control: the same values are found where they are.
fn the_search_would_have_found_them(cluster: &Cluster, needles: &Needles, planted: &[Planted]) {
    let leaked: HashMap<&str, Value> =
        planted.iter().map(|planted| (planted.name.as_str(), json!(planted.value))).collect();
    let leaked = serde_json::to_vec(&leaked).unwrap();
    assert!(needles.found_in(&leaked).len() >= planted.len());
    // And the wires have seen everything: each connection begins with a greeting in the clear.
    for node in cluster.blind() {
        let wire = node.wire.as_ref().unwrap().recorded();
        assert!(wire.len() > 10_000, "{} bytes on a wire of {:?}", wire.len(), node.data);
        let greeting = Needles::plain("ALPN", b"\x02h2");
        assert!(!greeting.found_in(&wire).is_empty(), "no greeting on a wire of {:?}", node.data);
    }
}
