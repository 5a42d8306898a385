//! Machines that are reached by SSH: real OpenSSH servers, each with users of its own, as what it
//! sees of the machine's files is a copy.

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::kit::free_port;
use crate::kit::mounts::not_tested;
use crate::kit::wait_until;

/// The passwords of root, and of the user whose password rotates.
pub(super) const ROOT: &str = "root-password";
pub(super) const FIRST: &str = "first-1";
pub(super) const USER: &str = "app";

/// A machine, which ends with this value.
pub(super) struct Machine {
    pub(super) port: u16,
    dir: TempDir,
    running: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether machines can be had: it takes root; fails in CI without.
pub(super) fn possible() -> bool {
    let mut may = Command::new("unshare");
    let may = may.args(["--mount", "--", "sh", "-c", "[ $(id -u) = 0 ]"]).status();
    let may = may.is_ok_and(|status| status.success());
    assert!(may || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "this takes root");
    if !may {
        not_tested("users of OpenSSH servers, which takes root");
    }
    may
}

impl Machine {
    pub(super) fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-machine-").unwrap();
        let port = free_port();
        let at = dir.path().display();
        let mut keygen = Command::new("ssh-keygen");
        let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join("key"));
        assert!(made.status().is_ok_and(|s| s.success()), "ssh-keygen is missing: openssh-client");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/key\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nPasswordAuthentication yes\nMaxStartups 100\n"
        );
        fs::write(dir.path().join("sshd_config"), config).unwrap();
        // Signs in with the password that it is given.
        fs::write(dir.path().join("ask"), "#!/bin/sh\necho \"$SECRET\"\n").unwrap();
        let script = format!(
            "set -eu\ncp -a /etc {at}/etc\nmkdir {at}/home\nmount --bind {at}/etc /etc\n\
             mount --bind {at}/home /home\nuseradd -m -s /bin/sh {USER}\n\
             echo {USER}:{FIRST} | chpasswd\necho root:{ROOT} | chpasswd\n"
        );
        let mut make = Command::new("unshare");
        let made = make.args(["--mount", "--", "sh", "-c", &script]).status();
        assert!(made.is_ok_and(|status| status.success()), "no users can be made");
        let mut machine = Self { port, dir, running: None };
        machine.up();
        machine
    }

    /// Starts it again, with what it had.
    pub(super) fn up(&mut self) {
        let at = self.dir.path().display();
        let script = format!(
            "set -eu\nmount --bind {at}/etc /etc\nmount --bind {at}/home /home\n\
             mount -t tmpfs tmpfs /run\nmkdir /run/sshd\n\
             exec /usr/sbin/sshd -D -f {at}/sshd_config\n"
        );
        let mut server = Command::new("unshare");
        server.args(["--mount", "--", "sh", "-c", &script]).stdin(Stdio::null());
        server.stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(server.spawn().unwrap());
        let port = self.port;
        wait_until("a machine to be there", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// Nobody reaches it from now on.
    pub(super) fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself.
            let _ = running.kill();
            let _ = running.wait();
        }
    }

    /// What it is called among the hosts of a linked target.
    pub(super) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether the user gets in with this password.
    pub(super) fn signs_in(&self, password: &str) -> bool {
        self.lets_in(USER, password)
    }

    /// The fingerprint of its host key.
    pub(super) fn fingerprint(&self) -> String {
        let shown = Command::new("ssh-keygen").arg("-lf").arg(self.dir.path().join("key")).output();
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        shown.split(' ').nth(1).unwrap().to_owned()
    }

    /// Whether somebody gets in with this password.
    pub(super) fn lets_in(&self, user: &str, password: &str) -> bool {
        let mut client = Command::new("sh");
        let ask = format!("chmod 700 {0}/ask; exec ssh \"$@\"", self.dir.path().display());
        client.args(["-c", &ask, "sh", "-p", &self.port.to_string()]);
        client.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        client.args(["-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no"]);
        client.args([&format!("{user}@127.0.0.1"), "true"]).env("SECRET", password);
        client.env("SSH_ASKPASS", self.dir.path().join("ask")).env("SSH_ASKPASS_REQUIRE", "force");
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        client.status().is_ok_and(|status| status.success())
    }
}
