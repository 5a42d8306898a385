//! The ways by which fragments reach a gateway, and a fragment that takes the place of another.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::customer_fragments::{Fragment, key_with_secret, new_fragment, start_with};
use crate::kit::{Api, KEYSHERD, Site, finish, wait_until};

fn made(site: &Site) -> (PathBuf, Fragment) {
    let file = site.path("customer_fragments.json");
    let fragment = new_fragment(site, &file, "north");
    (file, fragment)
}

fn held(admin: &Api) -> Value {
    admin.ok("gateway-list-customer-fragments", json!({}))["customer_fragments"].take()
}

/// A server that a shell starts, with what the shell line gives it.
fn by_shell(site: &Site, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.env_clear().env("HOME", site.home()).env("PATH", std::env::var_os("PATH").unwrap());
    let data = site.data().display().to_string();
    let server = format!("server --listen 127.0.0.1:0 --data-dir {data}");
    command.current_dir(site.home()).arg("-c");
    command.arg(line.replace("SERVER", &format!("{KEYSHERD} {server}")));
    command
}

#[test]
fn fragments_come_by_descriptor_credential_or_environment() {
    let site = Site::new();
    let (file, fragment) = made(&site);
    let path = file.display().to_string();
    // A file and a pipe, both behind a descriptor.
    for line in [
        format!("exec SERVER --customer-fragments-fd 3 3<{path}"),
        format!("exec SERVER --customer-fragments-fd 3 3<<END\n$(cat {path})\nEND\n"),
    ] {
        let server = site.launch(by_shell(&site, &line)).ready();
        assert_eq!(held(&server.admin())[0]["id"], fragment.id.as_str(), "{line}");
        server.stop();
    }
    // A credential as systemd gives it.
    let credentials = site.path("credentials");
    fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("customer-fragments");
    fs::copy(&file, &credential).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400)).unwrap();
    let mut command = site.server(&site.data());
    command.env("CREDENTIALS_DIRECTORY", &credentials);
    let server = site.launch(command).ready();
    assert_eq!(held(&server.admin())[0]["id"], fragment.id.as_str());
    assert!(!server.process.err().contains("come from the environment"));
    server.stop();
    // The environment works, with a warning.
    let mut command = site.server(&site.data());
    command.env("CUSTOMER_FRAGMENTS", fs::read_to_string(&file).unwrap());
    let server = site.launch(command).ready();
    assert_eq!(held(&server.admin())[0]["id"], fragment.id.as_str());
    assert!(server.process.err().contains("come from the environment"));
}

#[test]
fn a_file_that_others_can_read_is_no_secret() {
    let site = Site::new();
    let (file, fragment) = made(&site);
    let server = start_with(&site, &file);
    key_with_secret(&server.admin(), "north", &fragment.id);
    server.stop();
    for (mode, accepted) in [(0o644, false), (0o660, false), (0o640, true), (0o400, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = site.server(&site.data());
        command.arg("--check-config").arg("--customer-fragments").arg(&file);
        let checked = finish(&mut command, b"").expect(if accepted { 0 } else { 64 });
        assert_eq!(checked.err.contains("chmod 600"), !accepted, "{mode:o}: {}", checked.err);
        let server = start_with(&site, &file);
        let admin = server.admin();
        let read = admin.call("get-secret-value", json!({"names": ["/secrets/north"]}));
        assert_eq!(read.is_success(), accepted, "{mode:o}: {}", read.text());
        if !accepted {
            assert!(read.error().contains("open to others"), "{}", read.error());
        }
        server.stop();
    }
}

/// A file with only the fragments of these ids.
fn only(site: &Site, all: &Path, id: &str) -> PathBuf {
    let read: Value = serde_json::from_slice(&fs::read(all).unwrap()).unwrap();
    let entries = read["customer_fragments"].as_array().unwrap();
    let kept: Vec<_> = entries.iter().filter(|entry| entry["id"] == id).collect();
    let file = site.path(&format!("{id}.json"));
    fs::write(&file, json!({ "customer_fragments": kept }).to_string()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn a_fragment_is_replaced_by_wrapping_anew() {
    let site = Site::new();
    let (file, old) = made(&site);
    let new = new_fragment(&site, &file, "south");
    let server = start_with(&site, &file);
    let admin = server.admin();
    key_with_secret(&admin, "north", &old.id);
    admin.add_version("/secrets/north", "second value");
    let args = json!({"key-name": "/keys/north", "plaintext": "a message"});
    let message = admin.ok("encrypt", args)["result"].take();
    let rotate = json!({"name": "/keys/north", "new-customer-frg-id": new.id});
    assert_eq!(admin.ok("rotate-key", rotate)["new_item_version"], 2);
    let shown = |admin: &Api| {
        let args = json!({"name": "/secrets/north", "show-versions": true});
        let shown = admin.ok("describe-item", args);
        let versions = shown["item_versions"].as_array().unwrap();
        let ids: Vec<_> = versions.iter().map(|v| v["customer_fragment_id"].clone()).collect();
        (shown["customer_fragment_id"].clone(), ids)
    };
    let (of_new, of_old) = (json!(new.id), json!(old.id));
    wait_until("every version to be wrapped with the new fragment", || {
        shown(&admin) == (of_new.clone(), vec![of_new.clone(), of_new.clone()])
    });
    server.stop();

    // Values need the new fragment only; messages of before still need the old one.
    let server = start_with(&site, &only(&site, &file, &new.id));
    let admin = server.admin();
    assert_eq!(admin.read("/secrets/north"), "second value");
    assert_eq!(admin.read_version("/secrets/north", 1), "value of north");
    admin.overwrite("/secrets/north", "third value");
    let decrypt = json!({"key-name": "/keys/north", "ciphertext": message});
    let text = admin.refused(403, "decrypt", decrypt.clone());
    assert!(text.contains("CustomerFragmentMissing") && text.contains(&old.id), "{text}");
    server.stop();
    let server = start_with(&site, &only(&site, &file, &old.id));
    let admin = server.admin();
    let text = admin.refused(403, "get-secret-value", json!({"names": ["/secrets/north"]}));
    assert!(text.contains("CustomerFragmentMissing") && text.contains(&new.id), "{text}");
    assert_eq!(admin.ok("decrypt", decrypt)["result"], "a message");
    assert_eq!(admin.describe("/keys/north")["customer_fragment_id"], of_new);
    assert_ne!(of_new, of_old);
    server.stop();
    // With both, everything; a fragment the gateway does not hold is no new one.
    let server = start_with(&site, &file);
    let admin = server.admin();
    assert_eq!(admin.read("/secrets/north"), "third value");
    let unknown = format!("cf-{}", "12".repeat(16));
    let rotate = json!({"name": "/keys/north", "new-customer-frg-id": unknown});
    let text = admin.refused(403, "rotate-key", rotate);
    assert!(text.contains("CustomerFragmentMissing"), "{text}");
}
