//! The owner's commands: three of them let a machine in, and mistakes are told before they matter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::{Encoding as _, Signed};
use keysherd_fragments::order::OwnerOrder;
use keysherd_fragments::owner_key;
use serde_json::Value;

use crate::kit::{Finished, finish, keysherd};
use crate::softhsm::{PIN, SoftHsm};

const PASSPHRASE: &str = "correct horse battery staple";

/// A desk with an owner's directory and machines that want to be let in.
struct Desk {
    root: tempfile::TempDir,
}

impl Desk {
    fn empty() -> Self {
        let desk = Self { root: tempfile::tempdir().unwrap() };
        desk.secret("passphrase", PASSPHRASE);
        desk.secret("pin", PIN);
        desk
    }

    /// One with an owner.
    fn new() -> Self {
        let desk = Self::empty();
        desk.owner(&["init"]).expect(0);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("{text}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Finished {
        finish(keysherd(self.root.path()).args(args), b"")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = keysherd(self.root.path());
        command.arg("owner").args(args).args(["--dir", "owner"]);
        if args[0] != "show" {
            command.args(["--passphrase-file", "passphrase", "--pin-file", "pin"]);
        }
        command
    }

    /// `keysherd owner` with the passphrase at hand.
    fn owner(&self, args: &[&str]) -> Finished {
        finish(&mut self.command(args), b"")
    }

    /// Enrolls a machine; gives its request file and its fingerprint.
    fn enroll(&self, role: &str, name: &str, more: &[&str]) -> (String, Fingerprint) {
        let args = [role, "enroll", "--data-dir", name, "--name", name];
        let args = [&args[..], &["--owner-key", "owner/owner.pub"], more].concat();
        let told = self.run(&args).expect(0).out;
        (format!("{name}/{name}.request"), word(&told, "fingerprint").parse().unwrap())
    }

    fn managers(&self) -> Vec<String> {
        (1..=3_u8).map(|number| self.manager(number, &format!("m{number}"))).collect()
    }

    fn manager(&self, index: u8, name: &str) -> String {
        let address = format!("{name}.example:8401");
        let more = ["--index", &index.to_string(), "--address", &address].map(str::to_owned);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        self.enroll("fragments", name, &more).0
    }

    /// The newest bundle, opened with the newest public key.
    fn bundle(&self) -> PinnedBundle {
        let text = fs::read_to_string(self.path("owner/owner.pub")).unwrap();
        let bytes = fs::read(self.path("owner/trust-bundle")).unwrap();
        let signed = SignedBundle::from_bytes(&bytes).unwrap();
        PinnedBundle::open(owner_key::from_file(&text).unwrap(), signed).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.owner(&["show", "--json"]).expect(0).out).unwrap()
    }
}

fn word<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    line.split_whitespace().last().unwrap()
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn requests_become_a_bundle_after_a_dry_run() {
    let desk = Desk::new();
    let managers = desk.managers();
    let (control, at_control) = desk.enroll("control", "c1", &["--address", "c1.example:8400"]);
    let (gateway, at_gateway) = desk.enroll("gateway", "g1", &[]);
    let all = [strs(&managers), vec![&control, &gateway]].concat();
    let dry = desk.owner(&[&["add", "--dry-run"], &all[..]].concat()).expect(0).out;
    for expected in [
        "+ manager 2: m2 (ks-",
        "at m2.example:8401",
        &format!("+ control: c1 ({at_control}) at c1.example:8400"),
        &format!("+ gateway in cluster main: g1 ({at_gateway})"),
        "+ permit key: ks-",
        "dry run: nothing was signed",
    ] {
        assert!(dry.contains(expected), "{expected}: {dry}");
    }
    assert!(!desk.path("owner/trust-bundle").exists());
    // Nobody is there to agree: nothing is signed by accident.
    let unasked = desk.owner(&[&["add"], &all[..]].concat()).expect(64);
    assert!(unasked.err.contains("give --yes"), "{}", unasked.err);
    assert!(!desk.path("owner/trust-bundle").exists());
    desk.owner(&[&["add", "--yes"], &all[..]].concat()).expect(0);
    let bundle = desk.bundle();
    assert_eq!((bundle.version(), bundle.bundle().managers.len()), (1, 3));
    assert_eq!(bundle.bundle().managers[1].address, "m2.example:8401");
    assert_eq!(bundle.bundle().clusters[0].instances.len(), 1);
    let shown = desk.json();
    assert_eq!(shown["bundle"]["controls"][0]["fingerprint"], at_control.to_string());
    // The third command, on control's machine.
    let args = ["control", "accept-bundle", "--data-dir", "c1", "owner/trust-bundle"];
    let accepted = desk.run(&args).expect(0).out;
    assert!(accepted.contains("version 1 is in force"), "{accepted}");
    // The same machines again change nothing.
    let again = desk.owner(&[&["add", "--yes"], &strs(&managers)[..]].concat()).expect(0).out;
    assert!(again.contains("nothing changes"), "{again}");
    assert_eq!(desk.bundle().version(), 1);
}

#[test]
fn mistakes_are_told_before_anything_is_signed() {
    let desk = Desk::new();
    let managers = desk.managers();
    let (gateway, fingerprint) = desk.enroll("gateway", "g1", &[]);
    let refused = |args: &[&str], expected: &str| {
        let failed = desk.owner(&[args, &["--yes"]].concat()).expect(64).err;
        assert!(failed.contains(expected), "{args:?}: {failed}");
    };
    refused(&["add", "nowhere.request"], "nowhere.request");
    refused(&["add", "owner/owner.pub"], "a request is the file that enroll writes");
    refused(&["add", &managers[1]], "manager 1 is missing");
    let stranger = "ks-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa";
    refused(&["add", &gateway, "--fingerprint", stranger], "not the machine you think");
    refused(&["add", &gateway, "--cluster", "second"], "say which cluster");
    let text = fs::read_to_string(desk.path(&gateway)).unwrap();
    let begin = text.find("-----BEGIN").unwrap() + 60;
    let swapped = if &text[begin..=begin] == "A" { "B" } else { "A" };
    let changed = format!("{}{swapped}{}", &text[..begin], &text[begin + 1..]);
    fs::write(desk.path("changed.request"), changed).unwrap();
    refused(&["add", "changed.request"], "changed.request");
    assert!(!desk.path("owner/trust-bundle").exists());
    let shown = fingerprint.to_string().to_uppercase();
    let add = ["add", "--yes", &gateway, "--fingerprint", &shown];
    desk.owner(&add).expect(0);
    refused(&["add", &gateway], "is in the bundle already");
    refused(&["remove", "g2"], "no machine is called g2");
    refused(&["set-caps", "--cluster", "second", "--per-second", "1"], "no cluster second");
    // On the wrong machine, with the wrong passphrase, in the wrong directory.
    let missing = desk.run(&["owner", "sign", "--dir", "elsewhere"]).expect(64).err;
    assert!(missing.contains("there is no owner in elsewhere"), "{missing}");
    let again = desk.owner(&["init"]).expect(64).err;
    assert!(again.contains("owner's directory already"), "{again}");
    desk.secret("passphrase", "another passphrase");
    refused(&["remove", "g1"], "the passphrase is wrong");
    assert_eq!(desk.bundle().version(), 1);
}

#[test]
fn a_replaced_manager_keeps_the_former_key() {
    let desk = Desk::new();
    let managers = desk.managers();
    desk.owner(&[&["add", "--yes"], &strs(&managers)[..]].concat()).expect(0);
    let former = desk.bundle().bundle().managers[1].key;
    let newcomer = desk.manager(2, "m2-new");
    let refused = desk.owner(&["add", "--yes", &newcomer]).expect(64).err;
    assert!(refused.contains("--replace m2"), "{refused}");
    let wrong = desk.owner(&["add", "--yes", &newcomer, "--replace", "m3"]).expect(64).err;
    assert!(wrong.contains("index 2, which m2 has"), "{wrong}");
    let told = desk.owner(&["add", "--yes", &newcomer, "--replace", "m2"]).expect(0).out;
    assert!(told.contains("manager 2 IS ANOTHER MACHINE: m2-new (ks-"), "{told}");
    let bundle = desk.bundle();
    assert_eq!(bundle.version(), 2);
    assert_eq!(bundle.bundle().managers[1].former_keys, [former]);
    assert_ne!(bundle.bundle().managers[1].key, former);
}

#[test]
fn versions_are_never_used_twice() {
    let desk = Desk::new();
    let (gateway, _) = desk.enroll("gateway", "g1", &[]);
    desk.owner(&["add", "--yes", &gateway]).expect(0);
    let first = fs::read(desk.path("owner/trust-bundle")).unwrap();
    let caps = ["set-caps", "--yes", "--group", "default"];
    desk.owner(&[&caps[..], &["--per-second", "7"]].concat()).expect(0);
    let second = fs::read(desk.path("owner/trust-bundle")).unwrap();
    // A copy of the directory from before: the bundle is older, the numbers are not.
    fs::write(desk.path("owner/trust-bundle"), &first).unwrap();
    desk.owner(&[&caps[..], &["--per-second", "8"]].concat()).expect(0);
    assert_eq!(desk.bundle().version(), 3);
    // The whole directory is from before: what is in force tells.
    fs::write(desk.path("owner/trust-bundle"), &first).unwrap();
    fs::remove_file(desk.path("owner/signed-version")).unwrap();
    fs::write(desk.path("in-force"), &second).unwrap();
    let more = ["--per-second", "9", "--current", "in-force"];
    let refused = desk.owner(&[&caps[..], &more].concat()).expect(64).err;
    assert!(refused.contains("owner adopt"), "{refused}");
    desk.owner(&["adopt", "in-force", "--yes"]).expect(0);
    assert_eq!(desk.bundle().version(), 2);
    desk.owner(&[&caps[..], &more].concat()).expect(0);
    assert_eq!(desk.bundle().version(), 3);
    let older = desk.owner(&["adopt", "in-force", "--yes"]).expect(64).err;
    assert!(older.contains("not newer"), "{older}");
}

#[test]
fn a_draft_that_people_edited_is_signed_or_refused_by_name() {
    let desk = Desk::new();
    let managers = desk.managers();
    desk.owner(&[&["add", "--yes"], &strs(&managers)[..]].concat()).expect(0);
    let file = desk.path("owner/trust.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("destroy_delay_seconds = 604800", "destroy_delay_seconds = 60"))
        .unwrap();
    let told = desk.owner(&["sign", "--yes"]).expect(0).out;
    assert!(told.contains("seconds until a destruction is final: 604800 -> 60"), "{told}");
    assert_eq!(desk.bundle().bundle().destroy_delay_seconds, 60);
    fs::write(&file, text.replace("index = 2", "index = 9")).unwrap();
    let refused = desk.owner(&["sign", "--yes"]).expect(64).err;
    assert!(refused.contains("manager m2: index is '9'"), "{refused}");
    fs::write(&file, text.replace("[[manager]]", "[[manger]]")).unwrap();
    let refused = desk.owner(&["sign", "--yes"]).expect(64).err;
    assert!(refused.contains("trust.toml") && refused.contains("manger"), "{refused}");
    assert_eq!(desk.bundle().version(), 2);
}

#[test]
fn the_key_file_says_nothing_without_its_passphrase() {
    let desk = Desk::new();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("owner"), mode("owner/owner.key")), (0o700, 0o600));
    desk.secret("short", "elevenchars");
    let more = ["--dir", "second", "--passphrase-file", "short"];
    let refused = desk.run(&[&["owner", "init"], &more[..]].concat()).expect(64).err;
    assert!(refused.contains("too short"), "{refused}");
    assert!(!desk.path("second/owner.key").exists());
    // Nobody types, and the environment is possible but not praised.
    let silent = desk.run(&["owner", "init", "--dir", "third"]).expect(64).err;
    assert!(silent.contains("--passphrase-file"), "{silent}");
    let mut command = keysherd(desk.root.path());
    command.env("KEYSHERD_OWNER_PASSPHRASE", PASSPHRASE);
    let told = finish(command.args(["owner", "init", "--dir", "fourth"]), b"").expect(0).err;
    assert!(told.contains("warning") && !told.contains(PASSPHRASE), "{told}");
    // A systemd credential, and a descriptor.
    fs::create_dir(desk.path("credentials")).unwrap();
    desk.secret("credentials/owner-passphrase", PASSPHRASE);
    let mut command = keysherd(desk.root.path());
    command.env("CREDENTIALS_DIRECTORY", desk.path("credentials"));
    finish(command.args(["owner", "init", "--dir", "fifth"]), b"").expect(0);
    let mut command = keysherd(desk.root.path());
    command.args(["owner", "init", "--dir", "sixth", "--passphrase-fd", "0"]);
    finish(&mut command, PASSPHRASE.as_bytes()).expect(0);
    // Another passphrase opens the same key, the old one does not any more.
    let public = fs::read(desk.path("owner/owner.pub")).unwrap();
    desk.secret("new", "a wholly new passphrase");
    desk.owner(&["change-passphrase", "--new-passphrase-file", "new"]).expect(0);
    assert_eq!(fs::read(desk.path("owner/owner.pub")).unwrap(), public);
    desk.owner(&["change-passphrase"]).expect(64);
    desk.secret("passphrase", "a wholly new passphrase");
    desk.owner(&["change-passphrase"]).expect(0);
}

#[test]
fn a_new_key_follows_the_old_one() {
    let desk = Desk::new();
    let nothing = desk.owner(&["rotate", "--yes"]).expect(64).err;
    assert!(nothing.contains("owner init"), "{nothing}");
    let (gateway, _) = desk.enroll("gateway", "g1", &[]);
    desk.owner(&["add", "--yes", &gateway]).expect(0);
    let installed = desk.bundle();
    let dry = desk.owner(&["rotate", "--dry-run"]).expect(0).out;
    assert!(dry.contains("nothing was made"), "{dry}");
    for _ in 0..2 {
        desk.owner(&["rotate", "--yes"]).expect(0);
    }
    let rotated = desk.bundle();
    assert_ne!(rotated.owner(), installed.owner());
    let accepted = installed.accept(rotated.signed().clone()).unwrap();
    assert_eq!((accepted.owner(), accepted.version()), (rotated.owner(), 3));
    // What the new key signs later carries the statements on.
    desk.owner(&["remove", "g1", "--yes"]).expect(0);
    let later = desk.bundle();
    assert_eq!(installed.accept(later.signed().clone()).unwrap().version(), 4);
    assert_eq!(later.signed().successions.len(), 2);
}

#[test]
fn an_interrupted_change_of_the_key_ends_with_one_of_the_two() {
    let desk = Desk::new();
    let (gateway, _) = desk.enroll("gateway", "g1", &[]);
    desk.owner(&["add", "--yes", &gateway]).expect(0);
    let read = |name: &str| fs::read(desk.path(&format!("owner/{name}"))).unwrap();
    let old = ["owner.key", "owner.pub", "trust-bundle"].map(read);
    desk.owner(&["rotate", "--yes"]).expect(0);
    let new = ["owner.key", "owner.pub", "trust-bundle"].map(read);
    let put = |name: &str, bytes: &[u8]| fs::write(desk.path(&format!("owner/{name}")), bytes);
    let there = |name: &str| desk.path(&format!("owner/{name}")).exists();
    // Each moment of the change at which the machine can stop: the files that are there then.
    for (moment, signed, renamed) in [(1, false, false), (2, true, false), (3, true, true)] {
        put("owner.key", if renamed { &new[0] } else { &old[0] }).unwrap();
        put("owner.pub", &old[1]).unwrap();
        put("trust-bundle", if signed { &new[2] } else { &old[2] }).unwrap();
        if !renamed {
            put("owner.key.next", &new[0]).unwrap();
        }
        put("owner.pub.next", &new[1]).unwrap();
        desk.owner(&["show"]).expect(0);
        let expected = if signed { &new } else { &old };
        assert_eq!(&read("owner.key"), &expected[0], "moment {moment}");
        assert_eq!(&read("owner.pub"), &expected[1], "moment {moment}");
        assert!(!there("owner.key.next") && !there("owner.pub.next"), "moment {moment}");
        let caps = ["set-caps", "--account", "--yes", "--per-second", &moment.to_string()];
        desk.owner(&caps).expect(0);
    }
}

#[test]
fn a_token_keeps_the_key() {
    let hsm = SoftHsm::with_token("office");
    hsm.add_token("safe");
    let desk = Desk::empty();
    let owner = |args: &[&str]| finish(hsm.configure(&mut desk.command(args)), b"");
    owner(&["init", "--pkcs11", &hsm.uri("office", Some("owner-1"))]).expect(0);
    assert!(!desk.path("owner/owner.key").exists());
    let (gateway, _) = desk.enroll("gateway", "g1", &[]);
    owner(&["add", "--yes", &gateway]).expect(0);
    let first = desk.bundle();
    let freeze = ["order", "freeze", "--group", "default", "--yes", "--out", "stop.order"];
    owner(&freeze).expect(0);
    assert_eq!(order(&desk, "stop.order", &first).order_id.as_bytes().len(), 16);
    // To another token, to a file, and back to a token.
    owner(&["rotate", "--yes", "--pkcs11", &hsm.uri("safe", Some("owner-2"))]).expect(0);
    owner(&["rotate", "--yes"]).expect(0);
    assert!(desk.path("owner/owner.key").exists() && !desk.path("owner/owner.token").exists());
    owner(&["rotate", "--yes", "--pkcs11", &hsm.uri("safe", Some("owner-4"))]).expect(0);
    assert!(!desk.path("owner/owner.key").exists() && desk.path("owner/owner.token").exists());
    let last = desk.bundle();
    assert_eq!(first.accept(last.signed().clone()).unwrap().version(), 4);
    // Without the token, with a wrong PIN, with a label in use.
    desk.owner(&["remove", "g1", "--yes"]).expect(64);
    desk.secret("pin", "0000");
    let refused = owner(&["remove", "g1", "--yes"]).expect(64).err;
    assert!(refused.contains("refused the PIN") && !refused.contains("0000"), "{refused}");
    desk.secret("pin", PIN);
    let taken = hsm.uri("safe", Some("owner-2"));
    let refused = owner(&["rotate", "--yes", "--pkcs11", &taken]).expect(64).err;
    assert!(refused.contains("already"), "{refused}");
    owner(&["remove", "g1", "--yes"]).expect(0);
}

/// The order in a file, verified as a manager does.
fn order(desk: &Desk, file: &str, bundle: &PinnedBundle) -> OwnerOrder {
    use keysherd_base::Clock as _;
    let signed = Signed::from_bytes(&fs::read(desk.path(file)).unwrap()).unwrap();
    let now = keysherd_base::SystemClock.now();
    OwnerOrder::open(&signed, &bundle.owner(), &bundle.bundle().deployment, now).unwrap()
}

#[test]
fn orders_are_signed_for_this_deployment() {
    let desk = Desk::new();
    let account = format!("acc-{}", "0a".repeat(16));
    let key = "0b".repeat(16);
    let named = ["--account", &account, "--key", &key];
    let destroy = [&["order", "destroy", "--version", "3"], &named[..]].concat();
    let early = desk.owner(&[&destroy[..], &["--yes"]].concat()).expect(64).err;
    assert!(early.contains("no signed bundle yet"), "{early}");
    let (gateway, _) = desk.enroll("gateway", "g1", &[]);
    desk.owner(&["add", "--yes", &gateway]).expect(0);
    let dry = desk.owner(&[&destroy[..], &["--dry-run"]].concat()).expect(0).out;
    assert!(dry.contains("DESTROY version 3 of key 0b0b"), "{dry}");
    let out = ["--yes", "--valid-days", "1", "--out", "d.order"];
    desk.owner(&[&destroy[..], &out].concat()).expect(0);
    let order = order(&desk, "d.order", &desk.bundle());
    assert_eq!(order.expires_at.millis_since(order.issued_at), 86_400_000);
    let text = format!("{:?}", order.action);
    assert!(text.starts_with("DestroyVersion") && text.contains("version: 3"), "{text}");
    // An order's file is never written over.
    desk.owner(&[&destroy[..], &out].concat()).expect(73);
    for wrong in [
        ["order", "freeze", "--group", "nobody"],
        ["order", "freeze", "--account", &account],
        ["order", "destroy", "--version", "0"],
        ["order", "unfreeze", "--valid-days", "31"],
    ] {
        desk.owner(&[&wrong[..], &["--yes", "--out", "w.order"]].concat()).expect(64);
    }
    assert!(!Path::new(&desk.path("w.order")).exists());
}
