//! OpenSSH's server with users of its own: what it sees of the machine's files is a copy. The tests
//! of engines use this file, too.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::free_port;
use super::kept::kept;

const SSHD: &str = "/usr/sbin/sshd";
/// The password of `root` there.
pub(crate) const ROOT: &str = "root-password";
/// The password of all others.
pub(crate) const FIRST: &str = "first-1";

/// What a server has beside users.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    /// Lines of a shell's script that run before it, as root.
    pub(crate) before: &'a str,
    /// Programs that sessions find first, by name.
    pub(crate) programs: &'a [(&'a str, String)],
}

/// A running server. It ends with the process that started it, however that ends.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    /// Where its users' directories are.
    pub(crate) home: PathBuf,
    /// Of its host key.
    pub(crate) fingerprint: String,
    _keeper: Child,
}

impl Sshd {
    /// One with these users, which takes root; `None`, and said loudly, without. In CI that fails.
    pub(crate) fn start(users: &str) -> Option<Self> {
        Self::start_with(users, &Wanted::default())
    }

    /// The same with more.
    pub(crate) fn start_with(users: &str, wanted: &Wanted<'_>) -> Option<Self> {
        let mut may = Command::new("unshare");
        let may = may.args(["--mount", "--", "sh", "-c", "[ $(id -u) = 0 ]"]).status();
        if !may.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "this takes root");
            let why = "NOT TESTED: users of an OpenSSH server, which takes root";
            let _ = writeln!(std::io::stderr(), "{why}");
            return None;
        }
        Some(Self::started(users, wanted))
    }

    fn started(users: &str, wanted: &Wanted<'_>) -> Self {
        let there = fs::exists(SSHD).unwrap();
        assert!(there, "OpenSSH is missing; on Debian: apt-get install openssh-server");
        let dir = TempDir::with_prefix("keysherd-sshd-").unwrap().keep();
        let at = dir.display();
        let port = free_port();
        let key = dir.join("host_key");
        let mut keygen = Command::new("ssh-keygen");
        let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.is_ok_and(|s| s.success()), "ssh-keygen is missing: openssh-client");
        let shown = Command::new("ssh-keygen").arg("-lf").arg(&key).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let fingerprint = shown.split(' ').nth(1).unwrap().to_owned();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\nPasswordAuthentication yes\nMaxStartups 100\n\
             MaxAuthTries 3\nAuthorizedKeysFile .ssh/authorized_keys\n\
             SetEnv PATH={at}/bin:/usr/bin:/bin:/usr/sbin:/sbin\n"
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        fs::create_dir(dir.join("home")).unwrap();
        fs::create_dir(dir.join("bin")).unwrap();
        for (name, text) in wanted.programs {
            let program = dir.join("bin").join(name);
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        let before = wanted.before;
        let script = format!(
            "set -eu\ncp -a /etc {at}/etc\nmount --bind {at}/etc /etc\n\
             mount --bind {at}/home /home\nmount -t tmpfs tmpfs /run\nmkdir /run/sshd\n\
             for user in {users}; do\n  useradd -m -s /bin/sh $user\n\
             echo $user:{FIRST} | chpasswd\ndone\n{before}echo root:{ROOT} | chpasswd\n\
             exec {SSHD} -D -f {at}/sshd_config\n"
        );
        let mut keeper = kept(&dir, ":", "unshare");
        keeper.args(["--mount", "--", "sh", "-c", &script]);
        let keeper = keeper.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let home = dir.join("home");
        let running = Self { port, home, fingerprint, _keeper: keeper };
        let until = Instant::now() + Duration::from_secs(300);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < until, "the server does not come up");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        running
    }
}
