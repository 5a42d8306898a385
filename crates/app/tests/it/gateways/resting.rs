//! Who does not work on targets: gateways on standby, until they are promoted, and those that only
//! forward logs.

use std::time::Instant;

use serde_json::{Value, json};

use super::Pair;
use super::standby::membership;
use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{Api, wait_until};

/// How long it takes in seconds, at most, until who works has removed what lives for forty: they
/// ask every five. Longer, the test only sees less.
const LONG_ENOUGH: u64 = 55;

/// A database, and somebody on it whose time is over in a moment.
struct Due {
    database: Postgres,
    made: Value,
}

impl Due {
    /// Made at the gateway `here`.
    fn make(here: &Api) -> Self {
        let database = Postgres::start("");
        database.create("app");
        let target = json!({
            "name": "/db/app", "db-type": "postgres", "host": "127.0.0.1",
            "port": database.port.to_string(), "user-name": "postgres", "pwd": PASSWORD,
            "db-name": "app",
        });
        here.ok("target-create-db", target);
        let secret = json!({
            "name": "/dyn/short", "target-name": "/db/app", "user-ttl": "40s",
            "creation-statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}';",
        });
        here.ok("dynamic-secret-create-postgresql", secret);
        let made = here.ok("dynamic-secret-get-value", json!({"name": "/dyn/short"}));
        let due = Self { database, made };
        assert!(due.is_there(), "{}", due.made);
        due
    }

    fn is_there(&self) -> bool {
        let text = |field: &str| self.made[field].as_str().unwrap();
        self.database.sql_as((text("user"), text("password")), "app", "SELECT 1").is_ok()
    }

    /// Looks for as long as whoever works would need.
    fn is_left_alone(&self) {
        let began = Instant::now();
        wait_until("what is due to be left alone", || {
            assert!(self.is_there(), "somebody who does not work removed a user");
            began.elapsed().as_secs() >= LONG_ENOUGH
        });
    }
}

#[test]
fn a_gateway_on_standby_removes_nothing_until_it_is_promoted() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    second.stop();
    second.take_args(&["--standby"]);
    second.start(&cluster.site);
    wait_until("the second gateway to be in its cluster", || {
        membership(&there)["connected"] == true
    });
    let due = Due::make(&here);
    cluster.gateway.kill();
    due.is_left_alone();
    there.ok("gateway-promote", json!({}));
    wait_until("the promoted one to remove what is due", || !due.is_there());
}

#[test]
fn who_forwards_logs_removes_nothing() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    second.stop();
    second.take_args(&["--role", "log-forwarder"]);
    second.start(&cluster.site);
    wait_until("the second gateway to be in its cluster", || {
        membership(&there)["connected"] == true
    });
    let due = Due::make(&here);
    cluster.gateway.kill();
    due.is_left_alone();
    cluster.gateway.start(&cluster.site);
    wait_until("the first one to remove what is due", || !due.is_there());
}
