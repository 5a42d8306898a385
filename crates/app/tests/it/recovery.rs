//! All fragment managers burn down, and come back from exports and custodians' shares.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::enrollment;

use crate::kit::{Cluster, ClusterWish, Finished, finish, keysherd, wait_until};

/// A cluster whose gateway keeps no keys, the owner's directory beside it.
struct Desk {
    cluster: Cluster,
}

impl Desk {
    fn new() -> Self {
        let gateway = ["--key-cache-seconds", "0"].map(str::to_owned).to_vec();
        let cluster = Cluster::start_with(&ClusterWish { gateway, ..ClusterWish::default() });
        let desk = Self { cluster };
        let dir = desk.path("owner");
        fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        let key = dir.join("owner.key");
        fs::write(&key, desk.cluster.owner.seed().expose()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let newest = desk.path("newest");
        fs::write(&newest, desk.cluster.signed_bundle()).unwrap();
        desk.owner(&["adopt", newest.to_str().unwrap()]).expect(0);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cluster.site.path(name)
    }

    fn owner(&self, args: &[&str]) -> Finished {
        let dir = self.path("owner");
        let mut command = keysherd(&self.cluster.site.home());
        finish(command.arg("owner").args(args).args(["--yes", "--dir"]).arg(dir), b"")
    }

    /// Runs `keysherd fragments` as manager `index`, with its own settings.
    fn manager(&self, index: u8, verb: &str, more: &[&str]) -> Finished {
        let node = &self.cluster.managers[usize::from(index) - 1];
        let (number, owner) = (index.to_string(), self.cluster.owner.public().to_string());
        let common = ["fragments", verb, "--index", &number, "--owner-key", &owner];
        node.run(&self.cluster.site, &[&common[..], more].concat())
    }

    /// A copy of a file that manager `index` may read.
    fn hand_over(&self, index: u8, file: &Path) -> String {
        let node = &self.cluster.managers[usize::from(index) - 1];
        let copy = node.data.join(file.file_name().unwrap());
        fs::copy(file, &copy).unwrap();
        node.own(&copy);
        copy.to_str().unwrap().to_owned()
    }

    /// Gives manager `index` the files of a ceremony.
    fn recover(&self, index: u8, exports: &[PathBuf], shares: &[PathBuf]) -> Finished {
        let mut args = vec!["--bundle".to_owned(), self.hand_over(index, &self.bundle())];
        for (flag, files) in [("--export", exports), ("--share", shares)] {
            for file in files {
                args.extend([flag.to_owned(), self.hand_over(index, file)]);
            }
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.manager(index, "recover", &args)
    }

    /// The bundle that the owner signed last.
    fn bundle(&self) -> PathBuf {
        self.path("owner").join("trust-bundle")
    }

    /// Nothing is left of manager `index`.
    fn burn(&self, index: u8) {
        let node = &self.cluster.managers[usize::from(index) - 1];
        fs::remove_dir_all(&node.data).unwrap();
        fs::DirBuilder::new().mode(0o700).create(&node.data).unwrap();
        node.own(&node.data);
    }
}

#[test]
fn the_drill_goes_through_a_whole_recovery_and_says_what_it_proved() {
    let home = tempfile::tempdir().unwrap();
    let mut command = keysherd(home.path());
    let told = finish(command.args(["fragments", "recovery-test"]), b"").expect(0).out;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 7 && lines.iter().all(|line| line.starts_with("proved: ")), "{told}");
    assert!(told.contains("one custodian of three opens nothing"), "{told}");
    assert!(told.contains("fragments came back exactly"), "{told}");
    // It needs no directory and leaves nothing behind.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn everything_is_read_again_after_all_managers_are_lost() {
    let mut desk = Desk::new();
    desk.cluster.admin().store("/kept", "a value that must come back");
    let shares = desk.path("custodians");
    let out_dir = shares.to_str().unwrap();
    let args = ["recovery-key", "--shares", "2", "--of", "3", "--out-dir", out_dir];
    let told = desk.owner(&args).expect(0).out;
    assert!(told.contains("3 shares were written and read back"), "{told}");
    assert!(told.contains("managers seal their fragments to it"), "{told}");
    let share = |number: u8| shares.join(format!("recovery-key-share-{number}-of-3.txt"));
    assert_eq!(fs::metadata(share(1)).unwrap().permissions().mode() & 0o777, 0o600);
    let signed = SignedBundle::from_bytes(&fs::read(desk.bundle()).unwrap()).unwrap();
    let signed = PinnedBundle::open(desk.cluster.owner.public(), signed).unwrap();
    let recovery_key = signed.bundle().recovery_key.clone();
    assert!(recovery_key.is_some());
    desk.cluster.bundle = signed.bundle().clone();

    let mut exports = Vec::new();
    for index in 1..=3_u8 {
        desk.cluster.managers[usize::from(index) - 1].stop();
        let bundle = desk.hand_over(index, &desk.bundle());
        let node = &desk.cluster.managers[usize::from(index) - 1];
        let made = node.data.join("export");
        let out = made.to_str().unwrap().to_owned();
        let told = desk.manager(index, "export-recovery", &["--bundle", &bundle, "--out", &out]);
        let told = told.expect(0).out;
        assert!(told.contains("key versions of manager"), "{told}");
        // An export is never overwritten.
        desk.manager(index, "export-recovery", &["--out", &out]).expect(73);
        let kept = desk.path(&format!("export-{index}"));
        fs::copy(&made, &kept).unwrap();
        exports.push(kept);
    }
    for index in 1..=3 {
        desk.burn(index);
    }
    // One custodian is not enough, one export neither.
    let told = desk.recover(1, &exports, &[share(1)]).expect(70).err;
    assert!(told.contains("1 shares are given, 2 are needed"), "{told}");
    let told = desk.recover(1, &exports[..1], &[share(1), share(3)]).expect(70).err;
    assert!(told.contains("give no fragments"), "{told}");

    let mut keys = Vec::new();
    for index in 1..=3_u8 {
        let told = desk.recover(index, &exports[1..], &[share(3), share(1)]).expect(0).out;
        assert!(told.contains("every fragment fits its key"), "{told}");
        let name = format!("again-{index}");
        desk.manager(index, "enroll", &["--name", &name]).expect(0);
        let node = &desk.cluster.managers[usize::from(index) - 1];
        let request = fs::read_to_string(node.data.join(format!("{name}.request"))).unwrap();
        keys.push(enrollment::from_file(&request).unwrap().key);
    }
    desk.cluster.change_bundle(|bundle| {
        for (entry, key) in bundle.managers.iter_mut().zip(keys) {
            entry.former_keys.push(entry.key);
            entry.key = key;
            entry.tls_spki_sha256 = key.spki_sha256();
        }
    });
    for place in 1..=3 {
        let (site, node) = desk.cluster.node(place);
        node.start(site);
    }
    desk.cluster.wait_until_healthy();
    let admin = desk.cluster.admin();
    wait_until("the value to be read", || admin.try_read("/kept").is_some());
    assert_eq!(admin.read("/kept"), "a value that must come back");
    wait_until("a write", || admin.try_store("/new", "and written"));
    assert_eq!(admin.read("/new"), "and written");
}
