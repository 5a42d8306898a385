//! Keys that are bound to customer fragments: made, used, lost, mixed up, found again.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{Api, Server, Site, wait_until};

/// A fragment that was made, and the file it lies in.
pub(crate) struct Fragment {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
}

/// Makes a fragment in `file`.
pub(crate) fn new_fragment(site: &Site, file: &Path, name: &str) -> Fragment {
    let file = file.to_str().unwrap();
    let args = ["gen-customer-fragment", "--name", name, "--out", file, "--json"];
    let made: Value = serde_json::from_str(&site.run(&args).expect(0).out).unwrap();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Fragment { id: text("id"), fingerprint: text("fingerprint") }
}

/// A server with the fragments in `file`.
pub(crate) fn start_with(site: &Site, file: &Path) -> Server {
    start_with_all(site, file, &[])
}

/// The same with more settings.
pub(crate) fn start_with_all(site: &Site, file: &Path, more: &[&str]) -> Server {
    site.start_with(&[&["--customer-fragments", file.to_str().unwrap()], more].concat())
}

/// A key bound to `fragment`, and a secret that it protects.
pub(crate) fn key_with_secret(admin: &Api, name: &str, fragment: &str) {
    let key = format!("/keys/{name}");
    let args = json!({"name": key, "alg": "AES256GCM", "customer-frg-id": fragment});
    admin.ok("create-dfc-key", args);
    let secret = format!("/secrets/{name}");
    let args = json!({"name": secret, "value": format!("value of {name}"), "protection_key": key});
    admin.ok("create-secret", args);
}

/// Reading the secret of `key_with_secret` must fail with this code.
#[track_caller]
fn unreadable(admin: &Api, name: &str, status: u16, code: &str) -> String {
    let args = json!({"names": [format!("/secrets/{name}")]});
    let text = admin.refused(status, "get-secret-value", args);
    assert!(text.contains(code), "{text}");
    text
}

fn entries(file: &Path) -> Vec<Value> {
    let text: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    text["customer_fragments"].as_array().unwrap().clone()
}

/// A file of fragments that only we may read, as every one must be.
fn write_entries(file: &Path, entries: &[Value]) {
    write(file, &json!({"customer_fragments": entries}).to_string());
}

fn write(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn file_of(site: &Site) -> PathBuf {
    site.path("customer_fragments.json")
}

#[test]
fn a_key_bound_to_a_fragment_works_only_with_it() {
    let site = Site::new();
    let file = file_of(&site);
    let fragment = new_fragment(&site, &file, "north");
    let server = start_with(&site, &file);
    let admin = server.admin();
    admin.store("/plain", "needs no fragment");
    key_with_secret(&admin, "north", &fragment.id);
    assert_eq!(admin.read("/secrets/north"), "value of north");
    let key = admin.describe("/keys/north");
    assert_eq!(key["with_customer_fragment"], true);
    assert_eq!(key["customer_fragment_id"], fragment.id.as_str());
    let secret =
        admin.ok("describe-item", json!({"name": "/secrets/north", "show-versions": true}));
    for shown in [&secret, &secret["item_versions"][0]] {
        assert_eq!(shown["with_customer_fragment"], true, "{secret}");
        assert_eq!(shown["customer_fragment_id"], fragment.id.as_str(), "{secret}");
    }
    assert_eq!(admin.describe("/plain")["with_customer_fragment"], false);
    server.stop();

    // Without it: one clear error, and nothing else is affected.
    let server = site.start();
    let admin = server.admin();
    let text = unreadable(&admin, "north", 403, "CustomerFragmentMissing");
    assert!(text.contains(&fragment.id), "{text}");
    assert_eq!(admin.read("/plain"), "needs no fragment");
    assert_eq!(admin.describe("/secrets/north")["with_customer_fragment"], true);
    let listed = admin.ok("list-items", json!({"path": "/secrets"}));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    for (command, args) in [
        ("update-secret-val", json!({"name": "/secrets/north", "value": "v"})),
        ("encrypt", json!({"key-name": "/keys/north", "plaintext": "p"})),
        ("create-secret", json!({"name": "/n", "value": "v", "protection_key": "/keys/north"})),
        (
            "create-dfc-key",
            json!({"name": "/keys/other", "alg": "AES256GCM", "customer-frg-id": fragment.id}),
        ),
    ] {
        let text = admin.refused(403, command, args);
        assert!(text.contains("CustomerFragmentMissing"), "{command}: {text}");
    }
    // What is lost can still be seen and deleted.
    admin.store("/secrets/second", "stays");
    admin.ok("create-dfc-key", json!({"name": "/keys/plain", "alg": "AES256GCM"}));
    server.stop();

    // Found again.
    let server = start_with(&site, &file);
    assert_eq!(server.admin().read("/secrets/north"), "value of north");
    server.stop();
    let server = site.start();
    let admin = server.admin();
    admin.ok("delete-item", json!({"name": "/secrets/north", "delete-immediately": "true"}));
    admin.refused(404, "describe-item", json!({"name": "/secrets/north"}));
}

#[test]
fn a_gateway_lists_its_fragments_and_keeps_their_values() {
    let site = Site::new();
    let file = file_of(&site);
    let fragment = new_fragment(&site, &file, "north");
    let server = start_with(&site, &file);
    let admin = server.admin();
    let listed = admin.ok("gateway-list-customer-fragments", json!({}));
    assert_eq!(
        listed["customer_fragments"],
        json!([{
            "id": fragment.id, "name": "north", "description": "", "fragment_type": "standard",
            "hash": fragment.fingerprint, "backup_verified": false,
        }])
    );
    let text = admin.refused(403, "gateway-download-customer-fragments", json!({}));
    assert!(text.contains("CustomerFragmentsStay"), "{text}");
    let value = entries(&file)[0]["value"].as_str().unwrap().to_owned();
    assert!(!listed.to_string().contains(&value) && !text.contains(&value));
    let log = server.process.err() + &server.process.out();
    assert!(log.contains(&fragment.fingerprint) && !log.contains(&value), "{log}");
    server.stop();
    let server = site.start();
    let admin = server.admin();
    let none = json!({"customer_fragments": []});
    assert_eq!(admin.ok("gateway-list-customer-fragments", json!({})), none);
    let downloaded = admin.ok("gateway-download-customer-fragments", json!({}));
    assert_eq!(downloaded, json!({ "cf_json": none }));
}

#[test]
fn only_the_right_one_of_three_fragments_opens_what_is_bound_to_it() {
    let site = Site::new();
    let all = file_of(&site);
    let names = ["red", "green", "blue"];
    let made: Vec<_> = names.iter().map(|name| new_fragment(&site, &all, name)).collect();
    assert_eq!(entries(&all).len(), 3, "one file, three fragments");
    let server = start_with(&site, &all);
    let admin = server.admin();
    for (name, fragment) in names.iter().zip(&made) {
        key_with_secret(&admin, name, &fragment.id);
    }
    for name in names {
        assert_eq!(admin.read(&format!("/secrets/{name}")), format!("value of {name}"));
    }
    server.stop();
    let entries = entries(&all);
    for (held, name) in names.iter().enumerate() {
        // Each fragment alone, also under the ids of the others.
        let value = entries[held]["value"].clone();
        let mixed: Vec<_> = entries
            .iter()
            .map(|entry| json!({"id": entry["id"], "name": entry["name"], "value": value}))
            .collect();
        write_entries(&site.path("one.json"), &mixed);
        let server = start_with(&site, &site.path("one.json"));
        let admin = server.admin();
        for (key, other) in names.iter().enumerate() {
            if key == held {
                assert_eq!(admin.read(&format!("/secrets/{name}")), format!("value of {name}"));
                continue;
            }
            let text = unreadable(&admin, other, 403, "CustomerFragmentWrong");
            assert!(text.contains(&made[key].fingerprint), "{text}");
            // Writing with the wrong fragment would lose the value: refused before anything.
            let args = json!({"name": format!("/secrets/{other}"), "value": "lost"});
            let text = admin.refused(403, "update-secret-val", args);
            assert!(text.contains("CustomerFragmentWrong"), "{text}");
        }
        server.stop();
    }
    let server = start_with(&site, &all);
    for name in names {
        let value = server.admin().read(&format!("/secrets/{name}"));
        assert_eq!(value, format!("value of {name}"), "the refused writes changed nothing");
    }
}

#[test]
fn a_damaged_file_or_entry_fails_what_needs_it_and_nothing_else() {
    let site = Site::new();
    let file = file_of(&site);
    let (north, south) = (new_fragment(&site, &file, "north"), new_fragment(&site, &file, "south"));
    let server = start_with(&site, &file);
    let admin = server.admin();
    admin.store("/plain", "p");
    key_with_secret(&admin, "north", &north.id);
    key_with_secret(&admin, "south", &south.id);
    server.stop();
    let good = std::fs::read_to_string(&file).unwrap();
    let mut cut = entries(&file);
    let value = cut[0]["value"].as_str().unwrap().to_owned();
    for (damaged, expected) in [
        (value[..20].to_owned(), "bytes instead of 32"),
        (format!("{}=", &value[..42]), "cut off"),
        (STANDARD.encode(&value), "base64 twice"),
        (STANDARD.encode([0; 32]), "all zero"),
    ] {
        cut[0]["value"] = damaged.into();
        write_entries(&file, &cut);
        let server = start_with(&site, &file);
        let admin = server.admin();
        let text = unreadable(&admin, "north", 403, "CustomerFragmentDamaged");
        assert!(text.contains(expected), "{text}");
        assert_eq!(admin.read("/secrets/south"), "value of south");
        assert_eq!(admin.read("/plain"), "p");
        assert!(server.process.err().contains(&north.id), "{}", server.process.err());
        server.stop();
    }
    write(&file, &good[..good.len() / 2]);
    let server = start_with(&site, &file);
    let admin = server.admin();
    assert_eq!(admin.read("/plain"), "p");
    for name in ["north", "south"] {
        let text = unreadable(&admin, name, 403, "CustomerFragmentDamaged");
        assert!(text.contains("cut off"), "{text}");
    }
    // The file is put in place again while the server runs.
    write(&file, &good);
    server.process.signal(Signal::HUP);
    wait_until("the fragments to be read again", || {
        admin.call("get-secret-value", json!({"names": ["/secrets/north"]})).is_success()
    });
    assert_eq!(admin.read("/secrets/south"), "value of south");
    // A file that cannot be read changes nothing.
    write(&file, "{");
    server.process.signal(Signal::HUP);
    wait_until("the server to say so", || server.process.err().contains("were not read again"));
    assert_eq!(admin.read("/secrets/south"), "value of south");
    // One that is gone from the file is gone at once, from memory too.
    write_entries(
        &file,
        &[serde_json::from_str::<Value>(&good).unwrap()["customer_fragments"][0].clone()],
    );
    server.process.signal(Signal::HUP);
    wait_until("the fragment to be gone", || {
        !admin.call("get-secret-value", json!({"names": ["/secrets/south"]})).is_success()
    });
    unreadable(&admin, "south", 403, "CustomerFragmentMissing");
    assert_eq!(admin.read("/secrets/north"), "value of north");
    // A new one can be used without a restart.
    let east = new_fragment(&site, &file, "east");
    server.process.signal(Signal::HUP);
    wait_until("the new fragment to be there", || {
        let args = json!({"name": "/keys/e", "alg": "AES256GCM", "customer-frg-id": east.id});
        admin.call("create-dfc-key", args).is_success()
    });
}
