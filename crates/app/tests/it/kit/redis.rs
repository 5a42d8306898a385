//! Redis in a directory of its own.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::loopback::free_port;
use super::poll::wait_until;

/// The password of its default user.
pub(crate) const PASSWORD: &str = "redis-password";

/// A running server; ended on drop. Its users are in its memory.
pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Child,
    _dir: TempDir,
}

impl Redis {
    /// An empty server.
    pub(crate) fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-redis-").unwrap();
        let port = free_port();
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
        server.args(["--port", &port.to_string(), "--dir"]).arg(dir.path());
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.expect("Redis is missing; on Debian: apt-get install redis-server");
        let server = Self { port, child, _dir: dir };
        wait_until("Redis to answer", || server.ask(&["PING"]) == "PONG");
        server
    }

    /// What it answers to a command of its default user.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        self.ask_as(("default", PASSWORD), command)
    }

    /// What it answers to a command of somebody; what it says to it otherwise.
    pub(crate) fn ask_as(&self, (user, password): (&str, &str), command: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string(), "--user", user]);
        client.env("REDISCLI_AUTH", password).args(command);
        let output = client.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
