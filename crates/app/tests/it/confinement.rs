//! What a role gives up, and what keeps the key of its store.

use std::fs;
use std::path::Path;

use crate::kit::{Process, Site, finish};
use crate::softhsm::{PIN, SoftHsm};

/// A line of `/proc/<pid>/status`.
fn status(process: &Process, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.trim().to_owned()
}

/// A file for the user alone.
fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_server_gives_up_what_it_does_not_need() {
    let site = Site::new();
    let server = site.start();
    server.admin().store("/team/db", "value");
    assert_eq!(status(&server.process, "NoNewPrivs"), "1");
    assert_eq!(status(&server.process, "Seccomp"), "2", "system calls are not filtered");
    // Every thread, not only the first.
    for task in fs::read_dir(format!("/proc/{}/task", server.process.pid())).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(text.contains("Seccomp:\t2"), "{text}");
    }
    if rustix::process::geteuid().is_root() {
        assert_ne!(status(&server.process, "VmLck"), "0 kB", "memory is not locked");
    }
    server.stop();
    // The control: what the test looks at is off when the setting says so.
    let open = site.start_with(&["--sandbox", "off"]);
    assert_eq!(status(&open.process, "Seccomp"), "0");
    assert!(open.process.err().contains("no sandbox"), "{}", open.process.err());
    assert_eq!(open.admin().read("/team/db"), "value");
}

#[test]
fn the_stores_open_under_their_passphrase_only() {
    let site = Site::new();
    let (right, wrong) = (site.path("right"), site.path("wrong"));
    private(&right, "open sesame\n");
    private(&wrong, "open barley\n");
    let with = |file: &Path| {
        let mut command = site.server(&site.data());
        command.args(["--at-rest", "passphrase", "--passphrase-file"]).arg(file);
        command
    };
    let server = site.launch(with(&right)).ready();
    server.admin().store("/team/db", "value");
    server.stop();
    assert!(!site.data().join("managers/1/epoch.key").exists());
    let refused = finish(&mut with(&wrong), b"");
    assert!(refused.err.contains("the passphrase is wrong"), "{}", refused.err);
    assert_ne!(refused.code, 0);
    let refused = finish(&mut site.server(&site.data()), b"").expect(64);
    assert!(refused.err.contains("--at-rest passphrase"), "{}", refused.err);
    let server = site.launch(with(&right)).ready();
    assert_eq!(server.admin().read("/team/db"), "value");
}

#[test]
fn the_key_of_the_stores_moves_under_a_passphrase() {
    let site = Site::new();
    let server = site.start();
    server.admin().store("/team/db", "value");
    server.stop();
    let passphrase = site.path("passphrase");
    private(&passphrase, "open sesame\n");
    let mut moving = site.server(&site.data());
    moving.args(["--at-rest", "passphrase", "--at-rest-before", "key-file"]);
    moving.arg("--passphrase-file").arg(&passphrase);
    let server = site.launch(moving).ready();
    assert_eq!(server.admin().read("/team/db"), "value");
    server.stop();
    for index in 1..=3 {
        let home = site.data().join("managers").join(index.to_string());
        assert!(!home.join("epoch.key").exists(), "the key is still in clear");
        assert!(home.join("epoch.key.passphrase").exists());
    }
    let mut moved = site.server(&site.data());
    moved.args(["--at-rest", "passphrase", "--passphrase-file"]).arg(&passphrase);
    let server = site.launch(moved).ready();
    assert_eq!(server.admin().read("/team/db"), "value");
}

#[test]
fn the_key_of_the_stores_stays_under_a_token() {
    let site = Site::new();
    let hsm = SoftHsm::with_token("managers");
    let pin = site.path("pin");
    private(&pin, PIN);
    let with_token = || {
        let mut command = site.server(&site.data());
        hsm.configure(&mut command);
        command.args(["--at-rest", &hsm.uri("managers", Some("epoch"))]);
        command.arg("--passphrase-file").arg(&pin);
        command.arg("--sandbox-path").arg(hsm.dir());
        command
    };
    let server = site.launch(with_token()).ready();
    server.admin().store("/team/db", "value");
    server.stop();
    let server = site.launch(with_token()).ready();
    assert_eq!(server.admin().read("/team/db"), "value");
    server.stop();
    // Without the token, the directory is of no use.
    let mut without = site.server(&site.data());
    let elsewhere = SoftHsm::with_token("managers");
    elsewhere.configure(&mut without);
    without.args(["--at-rest", &elsewhere.uri("managers", Some("epoch"))]);
    without.arg("--passphrase-file").arg(&pin).arg("--sandbox-path").arg(elsewhere.dir());
    let refused = finish(&mut without, b"");
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("token"), "{}", refused.err);
}
