//! First starts that do not get to their end: the next one makes them good.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde_json::json;

use crate::kit::{Site, announced_url, wait_until};

fn private_dir(path: &Path) {
    DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
}

/// The next start has an account whose credentials are where they should be, and they work.
fn is_made_good(site: &Site) {
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    assert_eq!(admin.read("/team/db"), "value");
    let password = fs::read_to_string(&server.bootstrap.owner_password_file).unwrap();
    let login = json!({
        "access-type": "password",
        "admin-email": server.bootstrap.owner_email,
        "admin-password": password.trim_end(),
    });
    server.nobody().ok("auth", login);
    server.stop();
    site.audit(&["verify"]).expect(0);
}

/// Each file in turn cannot be written at first: something is in its way.
#[test]
fn a_start_that_could_not_write_a_file_is_made_good_by_the_next_one() {
    let mut broken = Vec::new();
    for file in [
        "tls/ca.key",
        "tls/ca.pem",
        "tls/server.key",
        "tls/server.pem",
        "tls/server.names",
        "gateway/instance.key",
        "owner/owner.key",
        "owner/trust-bundle",
        "owner-password",
        "bootstrap.json.pending",
    ] {
        let site = Site::new();
        let obstacle = site.data().join(format!("{file}.new"));
        private_dir(&obstacle);
        let mut starting = site.launch(site.server(&site.data()));
        wait_until("an end or a start", || {
            !starting.process.runs() || announced_url(&starting.process.out()).is_some()
        });
        assert!(!starting.process.runs(), "nobody writes {file} any more; correct the list");
        let err = starting.process.err();
        let code = starting.process.wait();
        if code != 73 || !err.contains(file) {
            broken.push(format!("{file}: ended with {code}: {err}"));
        }
        fs::remove_dir(&obstacle).unwrap();
        let next = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| is_made_good(&site)));
        if next.is_err() {
            broken.push(format!("{file}: the next start did not make it good"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Killed as soon as one file is there, as soon as two are, and so on.
#[test]
fn a_first_start_can_be_killed_at_any_moment() {
    let site = Site::new();
    let server = site.start();
    server.stop();
    let whole = count(&site.data());
    let mut broken = Vec::new();
    for files in 1..=whole {
        fs::remove_dir_all(site.data()).unwrap();
        let mut starting = site.launch(site.server(&site.data()));
        wait_until("some files of a first start", || {
            count(&site.data()) >= files || !starting.process.runs()
        });
        starting.process.kill();
        let next = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| is_made_good(&site)));
        if next.is_err() {
            broken.push(files);
        }
    }
    assert!(broken.is_empty(), "killed with {broken:?} of {whole} files there, it never recovered");
}

/// Files and directories below `dir`, as far as they stay while they are counted.
fn count(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| 1 + count(&entry.path())).sum()
}
