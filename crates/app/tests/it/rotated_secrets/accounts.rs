//! Servers with a user whose password rotates.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::free_port;
use crate::kit::mysql::Product;
use crate::kit::mysql_server::{self, MySql};
use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::wait_until;

/// The user, and what their password is at first.
pub(crate) const USER: &str = "app_user";
pub(crate) const FIRST: &str = "first-1";

/// A server with that user.
pub(crate) trait Accounts {
    /// The rotator.
    fn kind(&self) -> &'static str;
    /// Its target.
    fn target(&self) -> Value;
    /// Whether the user gets in with this password.
    fn signs_in(&self, password: &str) -> bool;
}

fn target(db_type: &str, port: u16, user: Option<&str>) -> Value {
    json!({
        "name": "/db/app", "db-type": db_type, "host": "127.0.0.1", "port": port.to_string(),
        "user-name": user, "pwd": PASSWORD,
    })
}

impl Accounts for Postgres {
    fn kind(&self) -> &'static str {
        "postgresql"
    }

    fn target(&self) -> Value {
        let mut target = target("postgres", self.port, Some("postgres"));
        target["db-name"] = "app".into();
        target
    }

    fn signs_in(&self, password: &str) -> bool {
        self.sql_as((USER, password), "app", "SELECT 1").is_ok()
    }
}

/// A PostgreSQL server with the user.
pub(crate) fn postgres() -> Postgres {
    let database = Postgres::start("");
    database.create("app");
    database.sql("app", &format!("CREATE USER {USER} PASSWORD '{FIRST}'"));
    database
}

/// A process that ends with this value, in a directory of its own.
struct Running {
    child: Child,
    _dir: TempDir,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(command: impl FnOnce(&Path, u16) -> Command) -> Self {
        let (dir, port) = (TempDir::with_prefix("keysherd-accounts-").unwrap(), free_port());
        let mut command = command(dir.path(), port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the server is missing");
        Self { child, _dir: dir, port }
    }
}

/// A Redis server with the user.
pub(crate) struct Redis(Running);

impl Redis {
    pub(crate) fn start() -> Self {
        let running = Running::start(|dir, port| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
            command.args(["--port", &port.to_string(), "--dir"]).arg(dir);
            command
        });
        let redis = Self(running);
        wait_until("Redis to be there", || redis.said("default", PASSWORD, &["PING"]) == "PONG");
        let password = format!(">{FIRST}");
        let rules = ["ACL", "SETUSER", USER, "on", &password, "+ping"];
        assert_eq!(redis.said("default", PASSWORD, &rules), "OK");
        redis
    }

    fn said(&self, user: &str, password: &str, command: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.0.port.to_string(), "--no-auth-warning", "--user", user]);
        let output = client.args(["--pass", password]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Accounts for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn target(&self) -> Value {
        target("redis", self.0.port, None)
    }

    fn signs_in(&self, password: &str) -> bool {
        self.said(USER, password, &["PING"]) == "PONG"
    }
}

/// A server of MySQL's protocol with the user.
pub(crate) fn mysql(product: Product) -> MySql {
    let database = MySql::start(product);
    database.sql(&format!("CREATE USER {USER}@'%' IDENTIFIED BY '{FIRST}'"));
    database
}

impl Accounts for MySql {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn target(&self) -> Value {
        let (user, password) = mysql_server::ADMIN;
        let mut target = target("mysql", self.port, Some(user));
        target["pwd"] = password.into();
        target["db-name"] = "app".into();
        target
    }

    fn signs_in(&self, password: &str) -> bool {
        self.sql_as((USER, password), "SELECT 1").is_ok()
    }
}
