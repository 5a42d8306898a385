//! Rotating keys: a further version is used at once, older values still open, all of them are
//! wrapped anew in the background, and that can be watched.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{Api, Server, Site, documents_in, random, wait_until};

/// Where the payload's commitment lies in an envelope with one wrap.
const COMMITMENT: Range<usize> = 224..256;

/// Where a rotation is.
fn status(admin: &Api, key: &str) -> Value {
    admin.ok("rewrap-status", json!({ "name": key }))
}

/// Waits until nothing is wrapped by an older version.
fn wait_for_rewrap(admin: &Api, key: &str) -> Value {
    wait_until("a rotation to be finished", || {
        let status = status(admin, key);
        let problem = status["rotation"]["problem"].as_str().unwrap_or_default().to_owned();
        assert_eq!(problem, "", "{status}");
        status["rotation"]["finished"].is_string()
    });
    status(admin, key)
}

fn new_key(admin: &Api, name: &str, algorithm: &str) {
    admin.ok("create-dfc-key", json!({"name": name, "alg": algorithm}));
}

fn rotate(admin: &Api, name: &str) -> Value {
    admin.ok("rotate-key", json!({ "name": name }))
}

fn key_version_of(admin: &Api, secret: &str) -> Value {
    status(admin, secret)["versions"][0]["key_version"].clone()
}

fn store_under(admin: &Api, name: &str, value: &str, key: &str) {
    let args = json!({"name": name, "value": value, "protection_key": key});
    admin.ok("create-secret", args);
}

#[test]
fn a_rotated_key_wraps_new_values_at_once_and_old_ones_soon() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    let names: Vec<_> = (0..30).map(|n| format!("/team/{n}")).collect();
    for name in &names {
        store_under(&admin, name, &format!("first of {name}"), "/keys/a");
        admin.add_version(name, &format!("second of {name}"));
    }
    let rotated = rotate(&admin, "/keys/a");
    assert_eq!(rotated, json!({"new_item_version": 2, "item_type": "AES256GCM"}));
    // At once: new values under the new version, old ones open.
    store_under(&admin, "/team/new", "new", "/keys/a");
    assert_eq!(key_version_of(&admin, "/team/new"), 2);
    for name in &names {
        assert_eq!(admin.read(name), format!("second of {name}"));
    }
    let done = wait_for_rewrap(&admin, "/keys/a");
    assert_eq!(done["rotation"]["values_found"], 60, "{done}");
    assert_eq!(done["rotation"]["values_left"], 0, "{done}");
    assert_eq!(done["rotation"]["percent"], 100, "{done}");
    assert_eq!(done["versions"][0]["values"], 61, "{done}");
    assert_eq!(done["versions"][1]["values"], 0, "{done}");
    for name in &names {
        let versions = status(&admin, name)["versions"].take();
        let wrapped_by = |n: usize| versions[n]["key_version"].clone();
        assert_eq!((wrapped_by(0), wrapped_by(1)), (json!(2), json!(2)), "{versions}");
        assert_eq!(admin.read_version(name, 1), format!("first of {name}"));
        assert_eq!(admin.read(name), format!("second of {name}"));
    }
    // The versions of the key are seen on its item.
    let item = admin.ok("describe-item", json!({"name": "/keys/a", "show-versions": true}));
    assert_eq!(item["last_version"], 2, "{item}");
    assert_eq!(item["item_versions"].as_array().map(Vec::len), Some(2), "{item}");
    // Nothing depends on what was in memory.
    server.stop();
    let server = site.start();
    let admin = server.admin();
    for name in &names {
        assert_eq!(admin.read(name), format!("second of {name}"));
    }
    server.stop();
    site.audit(&["verify"]).expect(0);
}

#[test]
fn messages_of_older_versions_still_open() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let mut sealed = Vec::new();
    for algorithm in ["AES256GCM", "AES128SIV", "AES256CBC"] {
        let key = format!("/keys/{algorithm}");
        new_key(&admin, &key, algorithm);
        let context = match algorithm {
            "AES256CBC" => json!({"iv": "AAAAAAAAAAAAAAAAAAAAAA=="}),
            _ => json!({"a": "b"}),
        };
        for version in 1..=3 {
            let text = format!("{algorithm} {version}");
            let args = json!({"key-name": key, "plaintext": text, "encryption-context": context});
            let one = admin.ok("encrypt", args)["result"].take();
            sealed.push((key.clone(), context.clone(), text, one));
            if version < 3 {
                assert_eq!(rotate(&admin, &key)["new_item_version"], version + 1);
            }
        }
        let done = wait_for_rewrap(&admin, &key);
        let own = if algorithm == "AES256GCM" { 0 } else { 3 };
        assert_eq!(done["versions"][0]["values"], own, "sealed material is wrapped anew: {done}");
    }
    let opens_all = |server: &Server| {
        let admin = server.admin();
        for (key, context, text, one) in &sealed {
            let args = json!({"key-name": key, "ciphertext": one, "encryption-context": context});
            assert_eq!(admin.ok("decrypt", args)["result"], **text);
        }
    };
    opens_all(&server);
    server.stop();
    opens_all(&site.start());
}

#[test]
fn the_original_and_the_default_key_are_rotated_too() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/original", "o");
    assert_eq!(admin.ok("rotate-original-key", json!({}))["new_item_version"], 2);
    admin.store("/team/later", "l");
    assert_eq!(key_version_of(&admin, "/team/later"), 2);
    let original = || admin.ok("rewrap-status-original-key", json!({}));
    wait_until("the original key's rotation", || original()["rotation"]["finished"].is_string());
    assert_eq!(key_version_of(&admin, "/team/original"), 2);
    new_key(&admin, "/keys/default", "AES256GCM");
    admin.ok("update-account-settings", json!({"default-key-name": "/keys/default"}));
    admin.store("/team/default", "d");
    rotate(&admin, "/keys/default");
    wait_for_rewrap(&admin, "/keys/default");
    assert_eq!(key_version_of(&admin, "/team/default"), 2);
    for (name, value) in [("original", "o"), ("later", "l"), ("default", "d")] {
        assert_eq!(admin.read(&format!("/team/{name}")), value);
    }
}

#[test]
fn rotating_takes_the_right_to_change_the_key() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    admin.store("/team/db", "v");
    let rules = [("item-rule", "/keys/*", "read,list,create,delete")];
    let person = admin.person_who_may("/people/p", &rules).api;
    person.refused(401, "rotate-key", json!({"name": "/keys/a"}));
    person.refused(401, "rotate-original-key", json!({}));
    person.refused(401, "rewrap-status-original-key", json!({}));
    person.ok("rewrap-status", json!({"name": "/keys/a"}));
    person.refused(401, "rewrap-status", json!({"name": "/team/db"}));
    admin.refused(400, "rotate-key", json!({"name": "/team/db"}));
    admin.refused(404, "rotate-key", json!({"name": "/keys/none"}));
    let import = json!({"name": "/keys/a", "new-key-data": "AAAA"});
    admin.refused(400, "rotate-key", import);
    admin.refused(400, "rotate-key", json!({"name": "/keys/a", "new-split-level": 9}));
    admin.ok("set-item-state", json!({"name": "/keys/a", "desired-state": "Disabled"}));
    admin.refused(403, "rotate-key", json!({"name": "/keys/a"}));
    let after = status(&admin, "/keys/a");
    assert_eq!(after["versions"].as_array().map(Vec::len), Some(1), "{after}");
}

#[test]
fn reencrypt_draws_new_data_keys_for_all_versions() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    for n in 0..5 {
        let name = format!("/team/{n}");
        store_under(&admin, &name, &format!("first {n}"), "/keys/a");
        admin.add_version(&name, &format!("second {n}"));
    }
    // The payload's commitment changes with the data key, and with nothing else.
    let data_keys = || -> BTreeSet<Vec<u8>> {
        let items = (0..5).map(|n| admin.describe(&format!("/team/{n}"))["item_id"].clone());
        let ids: Vec<_> = items.map(|id| id.as_i64().unwrap()).collect();
        let control = site.data().join("control");
        let documents = ids.iter().flat_map(|id| documents_in(&control, *id));
        documents.map(|document| document[COMMITMENT].to_vec()).collect()
    };
    let before = data_keys();
    let done = admin.ok("reencrypt", json!({"names": ["/team/0"]}));
    assert_eq!(done, json!({"reencrypted": 2}));
    let reply = admin.call("get-secret-value", json!({"names": ["/team/0"]}));
    let attested = reply.header("keysherd-name-attested");
    assert_eq!(attested, Some("true"), "what attests a name is made with the data key");
    let after = data_keys();
    assert_eq!(before.intersection(&after).count(), before.len() - 2, "two payloads are new");
    // Re-wrapping keeps them: that is the difference.
    rotate(&admin, "/keys/a");
    wait_for_rewrap(&admin, "/keys/a");
    assert_eq!(data_keys(), after);
    // All of a key, page by page.
    let (mut count, mut page) = (0, Value::Null);
    loop {
        let mut args = json!({"key": "/keys/a", "limit": 3});
        if page.is_string() {
            args["pagination-token"] = page;
        }
        let mut done = admin.ok("reencrypt", args);
        assert_eq!(done.get("failed"), None, "{done}");
        count += done["reencrypted"].as_u64().unwrap();
        page = done["next_page"].take();
        if page.is_null() {
            break;
        }
    }
    assert_eq!(count, 10);
    assert_eq!(after.intersection(&data_keys()).count(), 0);
    for n in 0..5 {
        let name = format!("/team/{n}");
        assert_eq!(admin.read(&name), format!("second {n}"));
        assert_eq!(admin.read_version(&name, 1), format!("first {n}"));
    }
    for bad in [json!({}), json!({"names": ["/team/0"], "key": "/keys/a"})] {
        admin.refused(400, "reencrypt", bad);
    }
    admin.refused(400, "reencrypt", json!({"key": "/keys/a", "limit": 0}));
    admin.refused(400, "reencrypt", json!({"key": "/keys/a", "pagination-token": "x"}));
    admin.refused(400, "reencrypt", json!({"key": "/team/0"}));
    let rules = [("item-rule", "/keys/*", "list"), ("item-rule", "/team/0", "read,update")];
    let person = admin.person_who_may("/people/p", &rules).api;
    let some = person.ok("reencrypt", json!({"key": "/keys/a"}));
    assert_eq!(some["reencrypted"], 2, "{some}");
    assert!(some["failed"][""].as_str().unwrap().contains('8'), "{some}");
}

/// Secrets that a killed server had begun to re-wrap.
const KILLED_SECRETS: usize = 120;
/// So that a kill finds the work begun and not done.
const SLOWLY: &[&str] = &["--rewraps-per-second", "10"];

#[test]
fn a_server_killed_while_it_rotates_or_re_wraps_goes_on() {
    let site = Site::new();
    let mut server = site.start_with(SLOWLY);
    let mut admin = server.admin();
    let token = admin.token().to_owned();
    new_key(&admin, "/keys/a", "AES256SIV");
    let value = |n: usize| format!("value {n}");
    for n in 0..KILLED_SECRETS {
        store_under(&admin, &format!("/team/{n}"), &value(n), "/keys/a");
    }
    let names: Vec<_> = (0..KILLED_SECRETS).map(|n| format!("/team/{n}")).collect();
    let mut cut_short = 0;
    for round in 0..6 {
        if round % 2 == 0 {
            // In the middle of the work.
            rotate(&admin, "/keys/a");
            wait_until("some values to be wrapped anew", || {
                let rotation = &status(&admin, "/keys/a")["rotation"];
                rotation["values_left"].as_u64() < rotation["values_found"].as_u64()
            });
            server.process.kill();
        } else {
            // Somewhere in the generation or the first batches.
            let (http, body) = (server.http.clone(), json!({"name": "/keys/a", "token": token}));
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    // The answer may never come.
                    let mut connection = http.connect().ok()?;
                    connection.post("/rotate-key", &[], body.to_string().as_bytes()).ok()
                });
                let moment = Duration::from_micros(random() % 60_000);
                std::thread::park_timeout(moment);
                server.process.kill();
            });
        }
        server = site.start_with(SLOWLY);
        admin = server.nobody().with_token(&token);
        let left = &status(&admin, "/keys/a")["rotation"]["values_left"];
        cut_short += usize::from(left.as_u64().is_some_and(|left| left > 0));
        let values = admin.ok("get-secret-value", json!({ "names": names }));
        for (n, name) in names.iter().enumerate() {
            assert_eq!(values[name], value(n), "round {round}");
        }
    }
    assert!(cut_short >= 3, "only {cut_short} kills came in time: the test is too slow");
    server.stop();
    let server = site.start();
    let admin = server.nobody().with_token(&token);
    let done = wait_for_rewrap(&admin, "/keys/a");
    assert_eq!(done["rotation"]["values_left"], 0, "{done}");
    let values = admin.ok("get-secret-value", json!({ "names": names }));
    for (n, name) in names.iter().enumerate() {
        assert_eq!(values[name], value(n));
    }
    server.stop();
    site.audit(&["verify"]).expect(0);
}
