//! The container image: its recipe, and its root filesystem with somebody in it who has no rights.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::mounts::not_tested;
use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{KEYSHERD, Process, Site, finish, project, wait_for};

/// The user of the image.
const USER: u32 = 65_532;
/// What the image has.
const CONTENT: &[&str] = &["etc/ssl/certs/ca-certificates.crt", "usr/bin/keysherd"];

/// The static binary that `cargo xtask test --all` builds.
fn shipped() -> Option<PathBuf> {
    let found = std::env::var_os("KEYSHERD_TEST_DIST").map(PathBuf::from);
    if found.is_none() {
        not_tested("the static binary is not here; cargo xtask test --all builds it");
    }
    found
}

/// Lays out the root filesystem by the image's own recipe.
fn lay_out(binary: &Path, root: &Path) {
    let mut script = Command::new(project().join("packaging/image/rootfs.sh"));
    finish(script.arg(binary).arg(root), b"").expect(0);
}

/// All files below a directory, as paths relative to it, in order.
fn files_below(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_root_filesystem_has_the_binary_and_the_authorities_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    lay_out(Path::new(KEYSHERD), &root);
    assert_eq!(files_below(&root), CONTENT);
    for name in CONTENT {
        let meta = fs::metadata(root.join(name)).unwrap();
        assert_eq!(meta.mode() & 0o7022, 0, "{name} can be changed by others or is setuid");
        assert_eq!(meta.mtime(), 0, "{name}: the time of the build is part of the image");
    }
    assert_eq!(fs::read(root.join(CONTENT[1])).unwrap(), fs::read(KEYSHERD).unwrap());
    // Something that lay there before would be shipped along.
    let mut again = Command::new(project().join("packaging/image/rootfs.sh"));
    let refused = finish(again.arg(KEYSHERD).arg(&root), b"").expect(73);
    assert!(refused.err.contains("not empty"), "{}", refused.err);
}

#[test]
fn the_recipe_of_the_image_ends_with_nothing_that_runs_and_nobody_who_may() {
    let text = fs::read_to_string(project().join("packaging/image/Dockerfile")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let image = &lines[last..];
    assert_eq!(image[0], "FROM scratch");
    for line in image {
        // What a stage runs or fetches by itself is in nobody's review.
        assert!(!line.starts_with("RUN ") && !line.starts_with("ADD "), "{line}");
        let copies = line.starts_with("COPY ");
        assert!(!copies || line.contains("--from=build"), "{line}");
    }
    let user = image.iter().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert_eq!(user, format!("{USER}:{USER}"));
    assert!(image.contains(&"ENTRYPOINT [\"/usr/bin/keysherd\"]"));
    assert!(text.contains("CMD [\"/usr/bin/keysherd\", \"health\"]"));
    assert!(!text.contains("curl") && !text.contains("wget"));
}

/// A root filesystem that is mounted read-only for whoever runs in it.
struct Root {
    dir: PathBuf,
    data: PathBuf,
    is_shipped: bool,
}

impl Root {
    /// `None`, after saying so, where only others may change their root.
    fn new(site: &Site) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            not_tested("only root can try the image's root filesystem");
            return None;
        }
        let shipped = shipped();
        let (dir, data) = (site.path("root"), site.path("volume"));
        lay_out(shipped.as_deref().unwrap_or(Path::new(KEYSHERD)), &dir);
        for name in ["proc", "dev", "var/lib/keysherd"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        fs::create_dir(&data).unwrap();
        chown(&data, Some(USER), Some(USER)).unwrap();
        for open in [site.path("."), dir.clone()] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self { dir, data, is_shipped: shipped.is_some() })
    }

    /// The binary in it, as a container engine runs it: nobody's rights, one writable volume, and
    /// with `network` the machine's network instead of none.
    fn keysherd(&self, network: bool, args: &[&str]) -> Command {
        // The binary of the tests is dynamic.
        let libraries = if self.is_shipped { "" } else { "lib lib64 usr/lib" };
        let script = format!(
            "set -eu; root=$1; data=$2; shift 2
             mount --bind \"$root\" \"$root\"
             for dir in {libraries}; do
                 [ -d \"/$dir\" ] || continue
                 mkdir -p \"$root/$dir\"; mount --rbind \"/$dir\" \"$root/$dir\"
             done
             mount --bind \"$data\" \"$root/var/lib/keysherd\"
             mount -t proc proc \"$root/proc\"; mount --rbind /dev \"$root/dev\"
             mount -o remount,bind,ro \"$root\"
             exec setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups= \"$root\" \
                  /usr/bin/keysherd \"$@\""
        );
        let mut command = Command::new("unshare");
        command.arg("--mount").args((!network).then_some("--net"));
        command.args(["sh", "-c", &script, "sh"]).arg(&self.dir).arg(&self.data).args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("KEYSHERD_DATA_DIR", "/var/lib/keysherd/data");
        command
    }
}

/// A line of `/proc/<pid>/status`.
fn status(process: &Process, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_server_runs_in_the_image_as_nobody_on_a_read_only_root() {
    let site = Site::new();
    let Some(root) = Root::new(&site) else { return };
    let args = ["server", "--listen", "127.0.0.1:0"];
    let starting = site.launch(root.keysherd(true, &args)).in_directory(root.data.join("data"));
    let server = starting.ready();
    server.admin().store("/team/db", "value");
    assert_eq!(server.admin().read("/team/db"), "value");
    let process = &server.process;
    assert_eq!(status(process, "Uid"), [&*USER.to_string(); 4].join("\t"));
    assert_eq!(status(process, "CapEff"), "0000000000000000");
    assert_eq!(status(process, "NoNewPrivs"), "1");
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid())).unwrap();
    let at_root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(at_root.split(' ').nth(5).unwrap().starts_with("ro"), "{at_root}");
    // The health check of the image, beside the running server.
    finish(&mut root.keysherd(true, &["health"]), b"").expect(0);
    server.stop();
    finish(&mut root.keysherd(true, &["health"]), b"").expect(69);
    // All that it left is in its volume.
    assert_eq!(files_below(&root.dir), CONTENT);
}

/// What drivers of databases need of a machine is in the image, and the sandbox leaves it to them.
#[test]
fn a_server_in_the_image_makes_users_on_a_database() {
    let site = Site::new();
    let Some(root) = Root::new(&site) else { return };
    let database = Postgres::start("");
    let args = ["server", "--listen", "127.0.0.1:0", "--allow-local-targets"];
    let starting = site.launch(root.keysherd(true, &args)).in_directory(root.data.join("data"));
    let server = starting.ready();
    let admin = server.admin();
    let target = json!({
        "name": "/db/app", "db-type": "postgres", "host": "127.0.0.1",
        "port": database.port.to_string(), "user-name": "postgres", "pwd": PASSWORD,
        "db-name": "postgres",
    });
    admin.ok("target-create-db", target);
    let secret = json!({"name": "/dyn/app", "target-name": "/db/app"});
    admin.ok("dynamic-secret-create-postgresql", secret);
    let made = admin.ok("dynamic-secret-get-value", json!({"name": "/dyn/app"}));
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    let (user, password) = (text("user"), text("password"));
    assert_eq!(database.sql_as((&user, &password), "postgres", "SELECT 1").unwrap(), "1");
    server.stop();
}

#[test]
fn a_start_needs_nothing_from_the_network() {
    let site = Site::new();
    let Some(root) = Root::new(&site) else { return };
    let args = ["server", "--listen", "127.0.0.1:0"];
    let mut process = site.launch(root.keysherd(false, &args)).process;
    wait_for("a server without a network to start", || {
        assert!(process.runs(), "{}{}", process.out(), process.err());
        process.out().contains("listens on").then_some(())
    });
    assert!(root.data.join("data/bootstrap.json").is_file());
}

#[test]
fn the_static_binary_needs_no_library_and_says_what_it_cannot_do() {
    let Some(binary) = shipped() else { return };
    let bytes = fs::read(&binary).unwrap();
    assert!(!program_headers(&bytes).contains(&PT_INTERP), "it asks for a loader");
    // The control: the binary of the tests is dynamic.
    assert!(program_headers(&fs::read(KEYSHERD).unwrap()).contains(&PT_INTERP));
    let home = std::env::var("HOME").unwrap();
    for place in [project().canonicalize().unwrap().to_str().unwrap(), &format!("{home}/.cargo")] {
        let found = bytes.windows(place.len()).any(|part| part == place.as_bytes());
        assert!(!found, "the binary names {place}");
    }
    let site = Site::new();
    let pin = site.path("pin");
    fs::write(&pin, "1234").unwrap();
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(&binary);
    command.env_clear().env("HOME", site.home());
    let module = "pkcs11:token=t;object=k?module-path=/usr/lib/softhsm/libsofthsm2.so";
    command.args(["server", "--listen", "127.0.0.1:0", "--at-rest", module, "--passphrase-file"]);
    let refused = finish(command.arg(&pin).arg("--data-dir").arg(site.path("never")), b"");
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("is static and loads no modules"), "{}", refused.err);
    // Names are resolved without the libraries that a dynamic program loads for that.
    let server = site.start();
    let url = server.url.replace("127.0.0.1", "localhost");
    let mut command = Command::new(&binary);
    command.env_clear().env("HOME", site.home());
    command.args(["list-items", "--gateway-url", &url, "--token", "t-x", "--ca-file"]);
    let refused = finish(command.arg(&server.bootstrap.ca_file), b"").expect(4);
    assert!(refused.err.contains("401"), "{}", refused.err);
}

/// The type of an ELF program header that names a loader.
const PT_INTERP: u32 = 3;

/// The types of the program headers of an ELF file for 64 bits, little-endian.
fn program_headers(elf: &[u8]) -> Vec<u32> {
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "not an ELF file for 64 bits");
    let number = |at: usize, bytes: usize| {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(&elf[at..at + bytes]);
        usize::try_from(u64::from_le_bytes(wide)).unwrap()
    };
    let (begin, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).map(|entry| u32::try_from(number(begin + entry * size, 4)).unwrap()).collect()
}
