//! The certificate for clients from a real ACME authority, and the attacks on that.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kit::free_port;
use crate::kit::full_disk::with_own_mounts;
use crate::kit::openssl::Authority;
use crate::kit::pebble::{DAYS, Pebble, tls_status};
use crate::kit::{FakeClock, Process, Site, announced_url, finish, keysherd, wait_for, wait_until};

/// The name that the authority looks at.
const NAME: &str = "gw.keysherd.test";
const DAY: i64 = 86_400;

/// A server whose certificate an authority issues.
struct Gateway {
    process: Process,
    port: u16,
    own_ca: PathBuf,
}

impl Gateway {
    fn start(site: &Site, port: u16, authority: &Pebble, ca: &Path, more: &[&str]) -> Self {
        let mut command = keysherd(&site.home());
        command.args(["server", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]);
        command.arg(site.data());
        command.args(["--acme-directory", &authority.directory, "--acme-agree-to-terms"]);
        command.args(["--acme-name", NAME, "--acme-ca"]).arg(ca).args(more);
        if site.data().join("fake-clock").is_file() {
            command.envs(FakeClock::at(&site.data()).environment());
        }
        let process = site.launch(command).process;
        wait_for("a server to listen", || announced_url(&process.out()));
        let own_ca = site.data().join("tls/ca.pem");
        let gateway = Self { process, port, own_ca };
        wait_until("it to serve", || !gateway.source().is_empty());
        gateway
    }

    /// What it says of itself to who believes only this authority.
    fn status(&self, ca: &Path, name: &str) -> Option<Value> {
        self.ask(&["--cacert", ca.to_str().unwrap()], name)
    }

    fn ask(&self, args: &[&str], name: &str) -> Option<Value> {
        let port = self.port;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "30"]).args(args);
        curl.arg("--resolve").arg(format!("{name}:{port}:127.0.0.1"));
        let ended = finish(curl.arg(format!("https://{name}:{port}/status")), b"");
        (ended.code == 0).then(|| serde_json::from_str(&ended.out).unwrap())
    }

    fn source(&self) -> String {
        self.ask(&["--insecure"], NAME).map_or_else(String::new, |status| tls_status(&status).0)
    }

    /// The serial number that clients see.
    fn serial(&self) -> String {
        let at = format!("127.0.0.1:{}", self.port);
        let mut shown = Command::new("openssl");
        let shown = finish(shown.args(["s_client", "-connect", &at, "-servername", NAME]), b"");
        let mut read = Command::new("openssl");
        finish(read.args(["x509", "-noout", "-serial"]), shown.out.as_bytes()).expect(0).out
    }
}

/// Has names on this machine resolved here, for processes of this thread.
fn resolve_here(site: &Site) {
    let hosts = site.path("hosts");
    fs::write(&hosts, format!("127.0.0.1 localhost {NAME}\n")).unwrap();
    let mut mount = Command::new("mount");
    finish(mount.arg("--bind").arg(&hosts).arg("/etc/hosts"), b"").expect(0);
}

#[test]
fn a_real_authority_issues_and_renews_what_clients_see() {
    let Some(program) = Pebble::find() else { return };
    let _done = with_own_mounts(|| {
        let site = Site::new();
        resolve_here(&site);
        let port = free_port();
        let authority = Pebble::start(&program, &site, port);
        fs::DirBuilder::new().mode(0o700).create(site.data()).unwrap();
        let clock = FakeClock::new(&site.data());
        let gateway = Gateway::start(&site, port, &authority, &authority.ca(), &[]);
        wait_until("the certificate", || gateway.source() == "acme");
        let root = site.path("root.pem");
        fs::write(&root, authority.root()).unwrap();
        let status = gateway.status(&root, NAME).expect("clients believe it");
        assert_eq!(tls_status(&status).1, DAYS - 1, "{status}");
        assert!(gateway.status(&gateway.own_ca, NAME).is_none(), "it is not its own any more");
        for file in ["acme.pem", "acme.account"] {
            let mode = site.data().join("tls").join(file).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        // Two thirds of its life are over in twenty days.
        let first = gateway.serial();
        clock.set(19 * DAY);
        assert_eq!(gateway.serial(), first);
        clock.set(21 * DAY);
        wait_until("another certificate", || gateway.serial() != first);
        assert!(gateway.status(&root, NAME).is_some());
        // It is there again at once after a restart, and nobody is asked for another.
        let second = gateway.serial();
        gateway.process.kill();
        let gateway = Gateway::start(&site, port, &authority, &authority.ca(), &[]);
        assert_eq!((gateway.source(), gateway.serial()), ("acme".to_owned(), second));
    });
}

#[test]
fn whatever_the_authority_does_clients_see_what_they_saw_before() {
    let Some(program) = Pebble::find() else { return };
    let _done = with_own_mounts(|| {
        let site = Site::new();
        resolve_here(&site);
        // Somebody else in its place; one that looks elsewhere and finds no proof.
        let (port, elsewhere) = (free_port(), free_port());
        let foreign = Authority::new("/CN=somebody else");
        for (looks_at, believed, said) in [
            (port, Some(foreign.path("ca.pem")), "certificate"),
            (elsewhere, None, "for the tls-alpn-01 challenge"),
        ] {
            let authority = Pebble::start(&program, &site, looks_at);
            let ca = believed.unwrap_or_else(|| authority.ca());
            let gateway = Gateway::start(&site, port, &authority, &ca, &[]);
            wait_until("the log to say so", || {
                let log = gateway.process.err();
                let mut lines = log.lines();
                lines.any(|line| {
                    line.contains("no certificate from the ACME") && line.contains(said)
                })
            });
            assert_eq!(gateway.source(), "own");
            assert!(gateway.status(&gateway.own_ca, "127.0.0.1").is_some(), "as before");
            assert!(!site.data().join("tls/acme.pem").exists());
        }
    });
}
