//! A server of MySQL's protocol in a directory of its own, with two tables.

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::loopback::free_port;
use super::mysql::Product;
use super::poll::wait_until;

/// The user that makes others, and its password.
pub(crate) const ADMIN: (&str, &str) = ("keeper", "mariadb-password");

/// A running server; ended on drop. What it has is not durable.
pub(crate) struct MySql {
    pub(crate) port: u16,
    socket: String,
    child: Child,
    _dir: TempDir,
}

impl MySql {
    /// A server with a database `app`, which has the tables `t1` and `t2`.
    pub(crate) fn start(product: Product) -> Self {
        let dir = TempDir::with_prefix("keysherd-mysql-").unwrap();
        let port = free_port();
        let words = product.prepared(dir.path(), port);
        let mut server = Command::new(&words[0]);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        server.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = server.spawn().unwrap();
        let socket = dir.path().join("socket").display().to_string();
        let server = Self { port, socket, child, _dir: dir };
        wait_until("the server to answer", || {
            server.client("SELECT 1").output().unwrap().status.success()
        });
        let (user, password) = ADMIN;
        server.sql(&format!(
            "CREATE USER {user}@'%' IDENTIFIED BY '{password}'; \
             GRANT ALL ON *.* TO {user}@'%' WITH GRANT OPTION; CREATE DATABASE app; \
             CREATE TABLE app.t1 (x int); CREATE TABLE app.t2 (x int); \
             INSERT INTO app.t1 VALUES (42)"
        ));
        server
    }

    /// Runs statements as the superuser; gives what they answer, one row a line.
    pub(crate) fn sql(&self, statement: &str) -> String {
        done(&mut self.client(statement))
    }

    /// Runs a statement as somebody else; gives what it answers, or what the server says to it.
    pub(crate) fn sql_as(
        &self,
        (user, password): (&str, &str),
        statement: &str,
    ) -> Result<String, String> {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--protocol=tcp"]);
        client.args(["--host=127.0.0.1", "--skip-ssl"]).arg(format!("--port={}", self.port));
        client.arg(format!("--user={user}")).env("MYSQL_PWD", password).args(["-e", statement]);
        let output = client.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn client(&self, statement: &str) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
        client.arg(format!("--socket={}", self.socket)).args(["-e", statement]);
        client
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
