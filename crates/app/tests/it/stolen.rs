//! What lies about while and after values are used: in the stores, and in memory.

use std::path::Path;

use serde_json::{Value, json};

use crate::kit::{Needles, Share, Site, documents_in, open_document, question, random, shares_in};

/// Each manager's fragments in the data directory of a one-machine server.
fn all_shares(data: &Path) -> Vec<Share> {
    let of_manager = |index: u8| {
        let home = data.join("managers").join(index.to_string());
        shares_in(&home.join("store/fragments.redb"), &home.join("epoch.key"))
    };
    (1..=3).flat_map(of_manager).collect()
}

/// Everything that is derived on the way to the value in `document`: KEK, DEK, partial values.
fn derived(document: &[u8], shares: &[Share]) -> Needles {
    derived_with(document, shares, &[])
}

/// The same with customer fragments (id and value, both in hex).
pub(crate) fn derived_with(
    document: &[u8],
    shares: &[Share],
    fragments: &[(&str, &str)],
) -> Needles {
    let answer = open_document(&[], &question(document, shares, &[1, 2, 3], fragments)).expect(0);
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let partials = answer["partials"].as_array().unwrap();
    assert_eq!(partials.len(), 6, "three values of leg S, three points of leg G");
    let needles = Needles::of("KEK", &bytes(&answer["kek"]));
    let needles = needles.and(Needles::of("DEK", &bytes(&answer["dek"])));
    let needles = needles.and(Needles::of("payload key", &bytes(&answer["payload_key"])));
    let steps = answer["steps"].as_array().unwrap().iter().zip(["leg S", "leg G", "PRK"]);
    let named = steps.chain(partials.iter().map(|value| (value, "partial")));
    named.fold(needles, |all, (value, name)| all.and(Needles::of(name, &bytes(value))))
}

#[test]
fn t_db_dump_has_no_plaintext_no_key() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let canaries: Vec<String> = (0..10).map(|_| format!("canary{:016x}", random())).collect();
    for (number, canary) in canaries.iter().enumerate() {
        let name = format!("/team/secret-{number}");
        admin.store(&name, canary);
        assert_eq!(admin.read(&name), *canary);
    }
    let id = |number: usize| {
        admin.describe(&format!("/team/secret-{number}"))["item_id"].as_i64().unwrap()
    };
    let ids: Vec<i64> = (0..canaries.len()).map(id).collect();
    server.stop();
    let shares = all_shares(&site.data());
    for (canary, id) in canaries.iter().zip(ids) {
        let documents = documents_in(&site.data().join("control"), id);
        let needles = derived(&documents[0], &shares);
        let needles = needles.and(Needles::of("plaintext", canary.as_bytes()));
        assert_eq!(needles.found_below(&site.data()), Vec::<String>::new());
        // The control: the search finds them in a store that has them.
        let leaked = site.path("leaked");
        std::fs::create_dir_all(&leaked).unwrap();
        std::fs::write(leaked.join("file"), format!("{{\"value\":\"{canary}\"}}")).unwrap();
        assert!(!needles.found_below(&leaked).is_empty());
    }
}

#[test]
fn t_zeroized() {
    let site = Site::new();
    // No key may stay: those that a cache keeps are there on purpose, under a key of the process.
    let server = site.start_with(&["--key-cache-seconds", "0"]);
    let admin = server.admin();
    for number in 0..5 {
        let name = format!("/team/secret-{number}");
        admin.store(&name, "value");
        assert_eq!(admin.read(&name), "value");
    }
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    let ids: Vec<i64> = (0..5)
        .map(|number| admin.describe(&format!("/team/secret-{number}"))["item_id"].as_i64())
        .map(Option::unwrap)
        .collect();
    // The stores as they are now: the server goes on.
    let shares = all_shares(&site.data());
    let documents: Vec<Vec<u8>> =
        ids.iter().flat_map(|id| documents_in(&site.data().join("control"), *id)).collect();
    assert_eq!(documents.len(), 5);
    let needles = documents.iter().map(|document| derived(document, &shares));
    // One manager's value gives nothing alone, and buffers on the way from it may still hold it.
    let needles = needles.reduce(Needles::and).unwrap().without("partial");
    let pid = server.process.pid();
    assert_eq!(needles.found_in_memory_of(pid), Vec::<String>::new());
    // The control: what managers must hold to work, their fragments, is found by the same search.
    let held = shares[0].value["s"].as_object().unwrap().values().next().unwrap();
    let held = Needles::of("fragment", &hex::decode(held.as_str().unwrap()).unwrap());
    assert!(!held.found_in_memory_of(pid).is_empty(), "the search sees nothing");
}
