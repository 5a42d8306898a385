//! A full disk: writes fail and say why, reads go on, free space heals it without a restart.
//!
//! The data directory lies on a small file system of its own, in a mount namespace that ends with
//! the server. From outside it is seen through `/proc/<pid>/root`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::{Api, KEYSHERD, Server, Site, audit, finish, wait_until};

/// Room for the reserves of the control plane and three managers, and a little more.
const DISK: &str = "size=56m,mode=700";
/// Secrets there are before the disk is full.
const SECRETS: usize = 40;

/// How a mount namespace can be had here.
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    ways.into_iter().find(|way| {
        let mut command = Command::new("unshare");
        command.args(*way).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        command.output().is_ok_and(|output| output.status.success())
    })
}

/// Starts a server on a small disk; `None` where that is not possible.
fn start_on_small_disk(site: &Site) -> Option<Server> {
    let Some(way) = unshare() else {
        let why = "no small disk: neither root nor unprivileged user namespaces mount a tmpfs here";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
        println!("NOT TESTED: {why}");
        return None;
    };
    let disk = site.path("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o {DISK} tmpfs \"$1\" && \
         exec \"$0\" server --listen 127.0.0.1:0 --data-dir \"$1/data\""
    );
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", &script, KEYSHERD]).arg(&disk).env("HOME", site.home());
    let starting = site.launch(command);
    let seen = PathBuf::from(format!("/proc/{}/root{}", starting.process.pid(), disk.display()));
    Some(starting.in_directory(seen.join("data")).ready())
}

/// Fills the disk with a file, to the last byte.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    let mut length = 1 << 20;
    while length > 0 {
        if file.write_all(&vec![7; length]).is_err() {
            length /= 2;
        }
    }
    path
}

fn name(number: usize) -> String {
    format!("/full/{number}")
}

/// Writes until the disk is said to be full; gives the error's text.
fn write_until_full(admin: &Api, disk: &Path) -> String {
    // What the writes push out of the way, such as a log that is cut, is filled up as well.
    for attempt in 0..2_000 {
        let args = json!({"name": format!("/new/{attempt}"), "value": "x".repeat(4_096)});
        let reply = admin.call("create-secret", args);
        if !reply.is_success() {
            assert_eq!(reply.status, 507, "{}", reply.text());
            assert!(reply.header("retry-after").is_some());
            return reply.error();
        }
        fill(disk);
    }
    panic!("the disk is full and 2,000 secrets were stored on it");
}

#[test]
fn a_full_disk_stops_writes_only_and_heals_without_a_restart() {
    let site = Site::new();
    let Some(server) = start_on_small_disk(&site) else { return };
    let admin = server.admin();
    for number in 0..SECRETS {
        admin.store(&name(number), &format!("value {number}"));
    }
    admin.ok("create-dfc-key", json!({"name": "/full/key", "alg": "AES256GCM"}));
    let encrypt = json!({"key-name": "/full/key", "plaintext": "a message"});
    let sealed = admin.ok("encrypt", encrypt.clone())["result"].take();
    let warm = name(0);
    admin.read(&warm);

    let disk = server.data.parent().unwrap().to_owned();
    let filler = fill(&disk);
    let text = write_until_full(&admin, &disk);
    for word in ["StorageFull", "storage is full", "free space"] {
        assert!(text.contains(word), "{text}");
    }
    reads_go_on(&server, &admin, &sealed);
    for (command, args) in [
        ("update-secret-val", json!({"name": warm, "value": "other"})),
        ("delete-item", json!({"name": warm})),
        ("create-role", json!({"name": "/full/role"})),
        ("auth-method-create-api-key", json!({"name": "/full/method"})),
        ("create-dfc-key", json!({"name": "/full/other-key", "alg": "AES256GCM"})),
    ] {
        let text = admin.refused(507, command, args);
        assert!(text.contains("StorageFull"), "{command}: {text}");
    }
    let status = server.http.get("/status").unwrap().text();
    assert!(status.contains(r#""low_on_space":true"#), "{status}");
    // What was refused did not happen.
    assert_eq!(admin.read(&warm), "value 0");

    fs::remove_file(filler).unwrap();
    let write = || admin.call("create-secret", json!({"name": "/healed", "value": "v"}));
    wait_until("writes to work again", || write().is_success());
    admin.overwrite(&warm, "other");
    assert_eq!(admin.read(&warm), "other");
    admin.ok("create-dfc-key", json!({"name": "/full/other-key", "alg": "AES256GCM"}));
    admin.new_person("/full/method");
    for number in 1..SECRETS {
        assert_eq!(admin.read(&name(number)), format!("value {number}"));
    }
    let verified = audit(&site.home(), &server.data, &["verify"]);
    verified.expect(0);
    server.stop();
}

/// Reads of every kind, more than a few.
fn reads_go_on(server: &Server, admin: &Api, sealed: &serde_json::Value) {
    for _ in 0..3 {
        for number in 0..SECRETS {
            assert_eq!(admin.read(&name(number)), format!("value {number}"));
        }
        let names: Vec<_> = (0..SECRETS).map(name).collect();
        let all = admin.ok("get-secret-value", json!({ "names": names }));
        assert_eq!(all.as_object().unwrap().len(), SECRETS);
        let decrypt = json!({"key-name": "/full/key", "ciphertext": sealed});
        assert_eq!(admin.ok("decrypt", decrypt)["result"], "a message");
        admin.ok("encrypt", json!({"key-name": "/full/key", "plaintext": "another"}));
        admin.ok("list-items", json!({}));
        admin.describe(&name(0));
        server.admin().ok("describe-sub-claims", json!({}));
    }
}

#[test]
fn a_small_disk_is_refused_at_the_first_start_with_a_reason() {
    let site = Site::new();
    let Some(way) = unshare() else { return };
    let disk = site.path("disk");
    fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs -o size=600k,mode=700 tmpfs \"$1\" && \
                  exec \"$0\" server --listen 127.0.0.1:0 --data-dir \"$1/data\"";
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", script, KEYSHERD]).arg(&disk).env("HOME", site.home());
    let ended = finish(&mut command, b"");
    assert!([70, 73].contains(&ended.code), "ended with {}: {}", ended.code, ended.err);
    let text = ended.err.to_lowercase();
    assert!(text.contains("space") || text.contains("full"), "{text}");
}
