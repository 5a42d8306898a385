//! Targets that do not answer while credentials end there: others go on as if nothing was, and all
//! is removed when they are back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{Api, FakeClock, Server, Site, in_full, in_real_time, wait_until};

const STATEMENTS: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
/// Credentials that end while their target does not answer.
const ENDING: usize = 60;
/// The same in full.
const ENDING_IN_FULL: usize = 1_000;
/// For how long it does not answer, where time is real.
const OUTAGE: Duration = Duration::from_secs(600);
/// How much the clock goes on meanwhile, in seconds, and by how much at a time.
const OUTAGE_SECONDS: i64 = 600;
const STEP_SECONDS: i64 = 100;
/// How long credentials live, in seconds.
const LIFE: i64 = 600;
/// Who asks for credentials at one time.
const CLIENTS: usize = 4;

struct Scene {
    _site: Site,
    server: Server,
    clock: FakeClock,
    ahead: i64,
}

impl Scene {
    fn start() -> Self {
        let site = Site::new();
        // The clock is kept where the server keeps its data.
        site.start().stop();
        let clock = FakeClock::new(&site.data());
        let mut command = site.server(&site.data());
        command.envs(clock.environment());
        let server = site.launch(command).ready();
        FakeClock::tidy(server.process.pid());
        Self { _site: site, server, clock, ahead: 0 }
    }

    fn pass(&mut self, seconds: i64) {
        self.ahead += seconds;
        self.clock.set(self.ahead);
    }
}

/// A target on this server, and a dynamic secret that uses it.
fn target(admin: &Api, name: &str, database: &Postgres) {
    let port = database.port.to_string();
    let args = json!({
        "name": format!("/db/{name}"), "db-type": "postgres", "host": "127.0.0.1", "port": port,
        "user-name": "postgres", "pwd": PASSWORD, "db-name": "postgres",
    });
    admin.ok("target-create-db", args);
    let args = json!({
        "name": format!("/dyn/{name}"), "target-name": format!("/db/{name}"),
        "creation-statements": STATEMENTS, "user-ttl": format!("{LIFE}s"),
    });
    admin.ok("dynamic-secret-create-postgresql", args);
}

fn give(admin: &Api, name: &str, count: usize) {
    let give = || {
        for _ in 0..count / CLIENTS {
            admin.ok("dynamic-secret-get-value", json!({"name": name}));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(give);
        }
    });
}

fn leases(admin: &Api, name: &str) -> Vec<Value> {
    let list = admin.ok("dynamic-secret-tmp-creds-get", json!({"name": name}));
    list.as_array().unwrap().clone()
}

fn users(database: &Postgres) -> usize {
    let text = database.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tmp.%'");
    text.parse().unwrap()
}

#[test]
fn what_ends_while_a_target_is_away_is_removed_when_it_is_back() {
    let mut scene = Scene::start();
    let admin = scene.server.admin();
    let (away, there) = (Postgres::start(""), Postgres::start(""));
    target(&admin, "away", &away);
    target(&admin, "there", &there);
    let ending = if in_full() { ENDING_IN_FULL } else { ENDING };
    give(&admin, "/dyn/away", ending);
    assert_eq!(users(&away), ending);

    // It accepts connections, and says nothing.
    away.freeze();
    let began = Instant::now();
    let mut passed = 0;
    while passed < OUTAGE_SECONDS || (in_real_time() && began.elapsed() < OUTAGE) {
        give(&admin, "/dyn/there", CLIENTS);
        if passed < OUTAGE_SECONDS {
            scene.pass(STEP_SECONDS);
            passed += STEP_SECONDS;
        }
        let all = json!({"name": "/dyn/there", "revoke-all": true});
        admin.ok("dynamic-secret-tmp-creds-delete", all);
        assert_eq!((users(&there), leases(&admin, "/dyn/there").len()), (0, 0));
        assert_eq!(leases(&admin, "/dyn/away").len(), ending, "nobody has removed any");
    }
    // What ends by itself elsewhere does so as well.
    give(&admin, "/dyn/there", CLIENTS);
    scene.pass(LIFE + 1);
    wait_until("the end of what is elsewhere", || users(&there) == 0);
    assert_eq!(leases(&admin, "/dyn/away").len(), ending);

    away.thaw();
    let mut left = ending;
    while left > 0 {
        wait_until("more of them to be removed", || users(&away) < left);
        left = users(&away);
    }
    wait_until("nothing to be left to do", || leases(&admin, "/dyn/away").is_empty());
}

/// Four of them, each with more than there are places for on one target.
#[test]
fn silent_targets_do_not_hold_up_others() {
    let mut scene = Scene::start();
    let admin = scene.server.admin();
    let (silent, there) = (Postgres::start(""), Postgres::start(""));
    for name in ["s1", "s2", "s3", "s4"] {
        target(&admin, name, &silent);
        give(&admin, &format!("/dyn/{name}"), 24);
    }
    target(&admin, "there", &there);
    give(&admin, "/dyn/there", 8);
    silent.freeze();
    scene.pass(LIFE + 1);
    wait_until("the end of what others have", || users(&there) == 0);
    let left = |name: &str| leases(&admin, &format!("/dyn/{name}"));
    let all: Vec<_> = ["s1", "s2", "s3", "s4"].iter().flat_map(|name| left(name)).collect();
    assert_eq!(all.len(), 96, "the silent one has answered");
    silent.thaw();
    wait_until("the end of the rest", || users(&silent) == 0);
}
