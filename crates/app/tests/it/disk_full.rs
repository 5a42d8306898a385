//! A full disk: writes fail and say why, reads go on, free space heals it without a restart.
//!
//! The data directory lies on a small file system of its own, in a mount namespace that ends with
//! the process that holds it. From outside it is seen through `/proc/<pid>/root`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::full_disk::fill;
use crate::kit::mounts::Way;
use crate::kit::{Api, KEYSHERD, Process, Server, Site, finish, random, wait_until};

/// Room for the reserves of the control plane and three managers, and a little more.
const SIZE: &str = "size=40m";
/// Secrets there are before the disk is full.
const SECRETS: usize = 40;

/// A small disk, there as long as the process that holds its mount namespace.
struct Disk {
    holder: Process,
    way: Way,
    /// Where it is mounted, for who is inside.
    inside: PathBuf,
}

impl Disk {
    fn new(site: &Site, options: &str) -> Option<Self> {
        let way = Way::find()?;
        let inside = site.path("disk");
        fs::create_dir(&inside).unwrap();
        let script =
            format!("mount -t tmpfs -o mode=700,{options} tmpfs \"$0\" && exec sleep 3600");
        let mut command = Command::new("unshare");
        command.args(way.unshare).args(["sh", "-c", &script]).arg(&inside);
        let disk = Self { holder: site.launch(command).process, way, inside };
        let mounted = || fs::read_to_string(format!("/proc/{}/mounts", disk.holder.pid()));
        let place = disk.inside.display().to_string();
        wait_until("the small disk", || mounted().is_ok_and(|text| text.contains(&place)));
        Some(disk)
    }

    /// The disk as it is seen from outside.
    fn outside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.pid(), self.inside.display()))
    }

    /// The binary, inside.
    fn keysherd(&self, site: &Site, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.pid().to_string()]).args(self.way.nsenter);
        command.arg(KEYSHERD).args(args).arg("--data-dir").arg(self.inside.join("data"));
        command.env("HOME", site.home());
        command
    }

    fn start(&self, site: &Site, listen: &str) -> Server {
        let starting = site.launch(self.keysherd(site, &["server", "--listen", listen]));
        starting.in_directory(self.outside().join("data")).ready()
    }

    fn verify_audit(&self, site: &Site) {
        finish(&mut self.keysherd(site, &["audit", "verify"]), b"").expect(0);
    }
}

fn name(number: usize) -> String {
    format!("/full/{number}")
}

/// Writes until the disk is said to be full; gives the error's text.
pub(crate) fn write_until_full(admin: &Api, disk: &Path) -> String {
    // What the writes push out of the way, such as a log that is cut, is filled up as well.
    let folder = random();
    for attempt in 0..2_000 {
        let name = format!("/new/{folder:x}/{attempt}");
        let args = json!({"name": name, "value": "x".repeat(4_096)});
        let reply = admin.call("create-secret", args);
        if !reply.is_success() {
            assert_eq!(reply.status, 507, "{}", reply.text());
            // What was refused is not there.
            admin.refused(404, "describe-item", json!({ "name": name }));
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
    let Some(disk) = Disk::new(&site, SIZE) else { return };
    let server = disk.start(&site, "127.0.0.1:0");
    let admin = server.admin();
    let sealed = prepare(&admin);
    let warm = name(0);
    let filler = fill(&disk.outside());
    let text = write_until_full(&admin, &disk.outside());
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
    wait_until("writes to work again", || admin.try_store("/healed", "v"));
    admin.overwrite(&warm, "other");
    assert_eq!(admin.read(&warm), "other");
    admin.ok("create-dfc-key", json!({"name": "/full/other-key", "alg": "AES256GCM"}));
    admin.new_person("/full/method");
    for number in 1..SECRETS {
        assert_eq!(admin.read(&name(number)), format!("value {number}"));
    }
    disk.verify_audit(&site);
    server.stop();
}

#[test]
fn a_server_that_is_killed_on_a_full_disk_starts_there_again() {
    let site = Site::new();
    let Some(disk) = Disk::new(&site, SIZE) else { return };
    let server = disk.start(&site, "127.0.0.1:0");
    let sealed = prepare(&server.admin());
    let filler = fill(&disk.outside());
    write_until_full(&server.admin(), &disk.outside());
    let address = server.http.address().to_string();
    server.process.kill();

    let server = disk.start(&site, &address);
    let admin = server.admin();
    reads_go_on(&server, &admin, &sealed);
    write_until_full(&admin, &disk.outside());
    reads_go_on(&server, &admin, &sealed);
    fs::remove_file(filler).unwrap();
    wait_until("writes to work again", || admin.try_store("/healed", "v"));
    disk.verify_audit(&site);
    server.stop();
}

/// Makes what is read later; gives a ciphertext of the key.
fn prepare(admin: &Api) -> Value {
    for number in 0..SECRETS {
        admin.store(&name(number), &format!("value {number}"));
    }
    admin.ok("create-dfc-key", json!({"name": "/full/key", "alg": "AES256GCM"}));
    let encrypt = json!({"key-name": "/full/key", "plaintext": "a message"});
    let sealed = admin.ok("encrypt", encrypt)["result"].take();
    admin.read(&name(0));
    sealed
}

/// Reads of every kind, more than a few.
fn reads_go_on(server: &Server, admin: &Api, sealed: &Value) {
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
    let Some(disk) = Disk::new(&site, "size=600k") else { return };
    let mut command = disk.keysherd(&site, &["server", "--listen", "127.0.0.1:0"]);
    let ended = finish(&mut command, b"");
    // Whichever part of it meets the end of the disk first.
    assert!([69, 70, 73].contains(&ended.code), "ended with {}: {}", ended.code, ended.err);
    let text = ended.err.lines().last().unwrap().to_lowercase();
    assert!(text.contains("space") || text.contains("full"), "{text}");
}
