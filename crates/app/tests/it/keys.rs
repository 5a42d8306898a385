//! Keys through the API: all algorithms, contexts, batches, what may not be opened, and keys that
//! protect items.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::{Api, Site};

const ALGORITHMS: &[&str] =
    &["AES128GCM", "AES256GCM", "AES128SIV", "AES256SIV", "AES128CBC", "AES256CBC"];

fn new_key(admin: &Api, name: &str, algorithm: &str) -> Value {
    let made = admin.ok("create-dfc-key", json!({"name": name, "alg": algorithm}));
    let millis = made["fragment_results"].as_array().unwrap();
    assert_eq!(millis.len(), 3, "one for each fragment manager: {made}");
    admin.describe(name)["item_id"].clone()
}

/// CBC keys need an initialization vector; others are bound to whatever is there.
fn context(algorithm: &str) -> Value {
    if algorithm.ends_with("CBC") {
        json!({"iv": STANDARD.encode([7; 16])})
    } else {
        json!({"tenant": "one", "purpose": "test"})
    }
}

fn encrypt(api: &Api, key: &str, text: &str, context: &Value) -> String {
    let args = json!({"key-name": key, "plaintext": text, "encryption-context": context});
    api.ok("encrypt", args)["result"].as_str().unwrap().to_owned()
}

fn decrypt(key: &str, sealed: &str, context: &Value) -> Value {
    json!({"key-name": key, "ciphertext": sealed, "encryption-context": context})
}

#[test]
fn every_algorithm_opens_what_it_sealed() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let long = "x".repeat(100_000);
    let mut sealed = Vec::new();
    for algorithm in ALGORITHMS {
        let key = format!("/keys/{algorithm}");
        new_key(&admin, &key, algorithm);
        let item = admin.describe(&key);
        assert_eq!(item["item_type"], *algorithm);
        for text in ["", "a", "exactly 16 bytes", "ä\u{0}\n\"", &long] {
            let one = encrypt(&admin, &key, text, &context(algorithm));
            let opened = admin.ok("decrypt", decrypt(&key, &one, &context(algorithm)));
            assert!(opened["result"] == text, "{algorithm} {text:.20?}");
            sealed.push((key.clone(), algorithm, text, one));
        }
        let bytes = STANDARD.encode([0, 159, 146, 150]);
        let args = json!({
            "key-name": key, "plaintext": bytes, "input-format": "base64",
            "encryption-context": context(algorithm),
        });
        let one = admin.ok("encrypt", args)["result"].as_str().unwrap().to_owned();
        let mut args = decrypt(&key, &one, &context(algorithm));
        admin.refused(400, "decrypt", args.clone());
        args["output-format"] = "base64".into();
        assert_eq!(admin.ok("decrypt", args)["result"], bytes, "{algorithm}");
    }
    // After a restart nothing is in memory, and everything opens all the same.
    server.stop();
    let server = site.start();
    let admin = server.admin();
    for (key, algorithm, text, one) in sealed {
        let opened = admin.ok("decrypt", decrypt(&key, &one, &context(algorithm)));
        assert!(opened["result"] == text, "{algorithm} {text:.20?} after a restart");
    }
}

#[test]
fn equal_messages_look_different_unless_the_algorithm_says_otherwise() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for (algorithm, same) in [("AES256GCM", false), ("AES128GCM", false), ("AES256SIV", true)] {
        let key = format!("/keys/{algorithm}");
        new_key(&admin, &key, algorithm);
        let seal = || encrypt(&admin, &key, "a message", &json!({"a": "b"}));
        assert_eq!(seal() == seal(), same, "{algorithm}");
    }
}

#[test]
fn another_context_key_or_byte_does_not_open() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for algorithm in ["AES128GCM", "AES256GCM", "AES128SIV", "AES256SIV"] {
        let (key, other) = (format!("/keys/{algorithm}"), format!("/keys/other-{algorithm}"));
        new_key(&admin, &key, algorithm);
        new_key(&admin, &other, algorithm);
        let right = json!({"tenant": "one", "purpose": "test"});
        let sealed = encrypt(&admin, &key, "a message", &right);
        for wrong in [
            json!({"tenant": "two", "purpose": "test"}),
            json!({"tenant": "one"}),
            json!({"tenant": "one", "purpose": "test", "more": ""}),
            json!({"purpose": "one", "tenant": "test"}),
            json!({"tenanto": "ne", "purpose": "test"}),
            json!({}),
        ] {
            let text = admin.refused(400, "decrypt", decrypt(&key, &sealed, &wrong));
            assert!(!text.contains("a message"), "{text}");
        }
        // Cold and warm, before and after the other key was used itself.
        for _ in 0..2 {
            admin.refused(400, "decrypt", decrypt(&other, &sealed, &right));
            encrypt(&admin, &other, "warm", &right);
        }
        let bytes = STANDARD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let reply = admin.call("decrypt", decrypt(&key, &STANDARD.encode(&altered), &right));
            let refused = (400..500).contains(&reply.status);
            assert!(refused, "{algorithm}, byte {at}: {} {}", reply.status, reply.text());
        }
        for length in [0, 1, 5, 6, 20, bytes.len() - 1] {
            let cut = STANDARD.encode(&bytes[..length]);
            let reply = admin.call("decrypt", decrypt(&key, &cut, &right));
            assert_eq!(reply.status, 400, "{length} bytes: {}", reply.text());
        }
        assert_eq!(admin.ok("decrypt", decrypt(&key, &sealed, &right))["result"], "a message");
    }
}

#[test]
fn cbc_keys_need_an_initialization_vector() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/cbc", "AES256CBC");
    for bad in [json!({}), json!({"iv": ""}), json!({"iv": "AAAA"}), json!({"iv": "not base64!"})] {
        let args = json!({"key-name": "/keys/cbc", "plaintext": "p", "encryption-context": bad});
        let text = admin.refused(400, "encrypt", args);
        assert!(text.contains("iv"), "{text}");
    }
    // A key without authentication may not protect items.
    let args = json!({"name": "/team/db", "value": "v", "protection_key": "/keys/cbc"});
    admin.refused(400, "create-secret", args);
    admin.refused(400, "update-account-settings", json!({"default-key-name": "/keys/cbc"}));
}

#[test]
fn a_right_on_one_key_opens_no_message_of_another() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for algorithm in ["AES256GCM", "AES256SIV"] {
        let (a, b) = (format!("/a/{algorithm}"), format!("/b/{algorithm}"));
        let id_of_a = new_key(&admin, &a, algorithm);
        let id_of_b = new_key(&admin, &b, algorithm);
        let person = format!("/people/{algorithm}");
        let person = admin.person_who_may(&person, &[("item-rule", "/b/*", "read")]).api;
        let none = json!({});
        let of_a = encrypt(&admin, &a, "secret of a", &none);
        encrypt(&person, &b, "warm", &none);
        person.refused(401, "decrypt", decrypt(&a, &of_a, &none));
        person.refused(401, "encrypt", json!({"key-name": a, "plaintext": "p"}));
        // With a's window warm in the gateway, the message is presented as one of b's.
        admin.ok("decrypt", decrypt(&a, &of_a, &none));
        for _ in 0..2 {
            let text = person.refused(400, "decrypt", decrypt(&b, &of_a, &none));
            assert!(!text.contains("secret of a"), "{text}");
            let batch = json!([{"item_id": id_of_b, "data": of_a}]);
            person.refused(400, "decrypt-batch", batch);
        }
        // An id of a key that cannot be seen tells nothing, not even in a batch with others.
        let of_b = encrypt(&person, &b, "of b", &none);
        let mixed = json!([{"item_id": id_of_b, "data": of_b}, {"item_id": id_of_a, "data": of_a}]);
        let reply = person.call("decrypt-batch", mixed);
        assert!([401, 404].contains(&reply.status), "{}", reply.text());
        assert!(!reply.text().contains("secret"), "{}", reply.text());
        // Listing a key is not using it.
        let watcher = format!("/people/watcher-{algorithm}");
        let watcher = admin.person_who_may(&watcher, &[("item-rule", "/b/*", "list,update")]).api;
        watcher.refused(401, "encrypt", json!({"key-name": b, "plaintext": "p"}));
        watcher.refused(401, "encrypt-batch", json!([{"item_id": id_of_b, "data": "d"}]));
    }
}

#[test]
fn batches_keep_their_order_and_fail_as_a_whole() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let ids = [
        new_key(&admin, "/keys/gcm", "AES256GCM"),
        new_key(&admin, "/keys/siv", "AES128SIV"),
        new_key(&admin, "/keys/gcm2", "AES128GCM"),
    ];
    let text = |n: usize| format!("plain {n}");
    let rows: Vec<_> = (0..30)
        .map(|n| json!({"item_id": ids[n % 3], "context": {"n": n.to_string()}, "data": text(n)}))
        .collect();
    let results = |answer: Value| -> Vec<String> {
        serde_json::from_str(answer["result"].as_str().unwrap()).unwrap()
    };
    let sealed = results(admin.ok("encrypt-batch", json!(rows)));
    let mut rows: Vec<_> = (0..30)
        .map(|n| json!({"item_id": ids[n % 3], "context": {"n": n.to_string()}, "data": sealed[n]}))
        .collect();
    let opened = results(admin.ok("decrypt-batch", json!(rows)));
    assert_eq!(opened, (0..30).map(text).collect::<Vec<_>>());
    // What a batch sealed, a single call opens.
    let single = decrypt("/keys/gcm", &sealed[0], &json!({"n": "0"}));
    assert_eq!(admin.ok("decrypt", single)["result"], text(0));
    rows[17]["context"] = json!({"n": "16"});
    let error = admin.refused(400, "decrypt-batch", json!(rows));
    assert!(error.contains("17") && !error.contains("plain"), "{error}");
    for bad in [json!([]), json!([5]), json!([[]]), json!([{"item_id": 1}]), json!({})] {
        admin.refused(400, "encrypt-batch", bad);
    }
    let thousand: Vec<_> = (0..1_000).map(|_| json!({"item_id": ids[0], "data": "d"})).collect();
    assert_eq!(results(admin.ok("encrypt-batch", json!(thousand))).len(), 1_000);
}

#[test]
fn the_older_name_of_key_creation_answers_with_the_ids() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let older = admin.ok("create-key", json!({"name": "/keys/a", "alg": "AES256GCM"}));
    let item = admin.describe("/keys/a");
    assert_eq!(older["item_id"], item["item_id"], "{older}");
    assert_eq!(older["display_id"], item["display_id"], "{older}");
    let newer = admin.ok("create-dfc-key", json!({"name": "/keys/b", "alg": "AES256GCM"}));
    assert_eq!((newer.get("item_id"), newer.get("display_id")), (None, None), "{newer}");
}

#[test]
fn a_key_in_use_can_be_neither_deleted_nor_disabled() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    new_key(&admin, "/keys/b", "AES256SIV");
    let args = json!({"name": "/team/db", "value": "one", "protection_key": "/keys/a"});
    admin.ok("create-secret", args);
    assert_eq!(admin.describe("/team/db")["protection_key_name"], "/keys/a");
    assert_eq!(admin.read("/team/db"), "one");
    let now = json!({"name": "/keys/a", "delete-in-days": -1, "delete-immediately": true});
    for (command, args) in [
        ("delete-item", now.clone()),
        ("delete-item", json!({"name": "/keys/a"})),
        ("set-item-state", json!({"name": "/keys/a", "desired-state": "Disabled"})),
    ] {
        let text = admin.refused(403, command, args);
        assert!(text.contains("KeyInUse"), "{text}");
    }
    // A new value under another key; the old version still needs the first one.
    let update = json!({
        "name": "/team/db", "value": "two", "key": "/keys/b", "keep-prev-version": "true",
    });
    admin.ok("update-secret-val", update);
    assert_eq!(admin.describe("/team/db")["protection_key_name"], "/keys/b");
    assert_eq!(
        (admin.read("/team/db"), admin.read_version("/team/db", 1)),
        ("two".to_owned(), json!("one"))
    );
    admin.refused(403, "delete-item", now.clone());
    admin.ok("delete-item", json!({"name": "/team/db", "version": 1}));
    admin.ok("delete-item", now);
    admin.refused(404, "describe-item", json!({"name": "/keys/a"}));
    assert_eq!(admin.read("/team/db"), "two");
}

#[test]
fn a_key_waits_for_its_deletion_and_can_be_called_back() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    let sealed = encrypt(&admin, "/keys/a", "a message", &json!({}));
    let deleted = admin.ok("delete-item", json!({"name": "/keys/a"}));
    let date: jiff::Timestamp = deleted["deletion_date"].as_str().unwrap().parse().unwrap();
    let made = admin.describe("/keys/a")["creation_date"].as_str().unwrap().to_owned();
    let made: jiff::Timestamp = made.parse().unwrap();
    let days = (date.as_second() - made.as_second()) / 86_400;
    assert_eq!(days, 7, "{deleted}");
    assert_eq!(admin.describe("/keys/a")["item_state"], "PendingDeletion");
    admin.refused(403, "decrypt", decrypt("/keys/a", &sealed, &json!({})));
    admin.refused(403, "encrypt", json!({"key-name": "/keys/a", "plaintext": "p"}));
    let enable = json!({"name": "/keys/a", "desired-state": "Enabled"});
    admin.ok("set-item-state", enable);
    let opened = admin.ok("decrypt", decrypt("/keys/a", &sealed, &json!({})));
    assert_eq!(opened["result"], "a message");
    for (days, immediately) in [(-1, false), (0, true), (366, false), (-2, true)] {
        let args = json!({
            "name": "/keys/a", "delete-in-days": days, "delete-immediately": immediately,
        });
        admin.refused(400, "delete-item", args);
    }
    let now = json!({"name": "/keys/a", "delete-in-days": "-1", "delete-immediately": "true"});
    admin.ok("delete-item", now);
    admin.refused(404, "decrypt", decrypt("/keys/a", &sealed, &json!({})));
    // A new key of the same name is another key.
    new_key(&admin, "/keys/a", "AES256GCM");
    admin.refused(400, "decrypt", decrypt("/keys/a", &sealed, &json!({})));
}

#[test]
fn the_default_key_protects_what_names_none() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/original", "v");
    new_key(&admin, "/keys/default", "AES256GCM");
    new_key(&admin, "/keys/other", "AES256GCM");
    admin.ok("update-account-settings", json!({"default-key-name": "/keys/default"}));
    let settings = admin.ok("get-account-settings", json!({}))["general_settings"].take();
    assert_eq!(settings["account_default_key_name"], "/keys/default");
    admin.store("/team/default", "v");
    let in_use = admin.refused(403, "delete-item", json!({"name": "/keys/default"}));
    assert!(in_use.contains("default key"), "{in_use}");
    admin.ok("update-account-settings", json!({"lock-default-key": "true"}));
    let other = json!({"name": "/team/x", "value": "v", "protection_key": "/keys/other"});
    let text = admin.refused(403, "create-secret", other.clone());
    assert!(text.contains("DefaultKeyLocked"), "{text}");
    admin.ok("update-account-settings", json!({"lock-default-key": "false"}));
    admin.ok("create-secret", other);
    let original = json!({"default-key-name": "set-original-akeyless-default-key"});
    admin.ok("update-account-settings", original);
    for name in ["/team/original", "/team/default", "/team/x"] {
        assert_eq!(admin.read(name), "v");
    }
    // It still wraps one secret, whose key name it is by now.
    admin.refused(403, "delete-item", json!({"name": "/keys/default"}));
    admin.refused(404, "update-account-settings", json!({"default-key-name": "/keys/none"}));
    admin.refused(400, "update-account-settings", json!({"default-key-name": "/team/x"}));
}

#[test]
fn naming_a_protection_key_takes_the_right_to_use_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    new_key(&admin, "/keys/a", "AES256GCM");
    let rules = [("item-rule", "/own/*", "create,read,update"), ("item-rule", "/keys/*", "list")];
    let person = admin.person_who_may("/people/p", &rules).api;
    let args = json!({"name": "/own/x", "value": "v", "protection_key": "/keys/a"});
    person.refused(401, "create-secret", args);
    person.store("/own/x", "v");
    let update = json!({"name": "/own/x", "value": "w", "key": "/keys/a"});
    person.refused(401, "update-secret-val", update);
    // Reading takes the right on the secret, not on its key.
    let args = json!({"name": "/own/y", "value": "v", "protection_key": "/keys/a"});
    admin.ok("create-secret", args);
    assert_eq!(person.read("/own/y"), "v");
    person.overwrite("/own/y", "w");
    assert_eq!(admin.describe("/own/y")["protection_key_name"], "/keys/a");
}
