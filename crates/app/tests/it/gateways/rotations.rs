//! Rotations by two gateways: whoever dies is followed by the other one, what is stored is what the
//! database takes whoever is killed, and each date is one rotation.

use serde_json::{Value, json};

use super::Pair;
use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{Api, ClusterWish as Wish, Node, in_full, rounds, wait_until};

const SECRET: &str = "/rot/app";
const DAY: i64 = 86_400;
/// Seconds after which nobody waits any more for one that might be frozen; and a little more.
const QUIET_SECONDS: i64 = 1_000;
/// Rotations by the clock.
const DATES: u64 = 4;
/// The same in full.
const DATES_IN_FULL: u64 = 30;
/// Rounds of killing.
const ROUNDS: u64 = 3;
/// The same in full.
const ROUNDS_IN_FULL: u64 = 12;

/// A database whose user's password rotates.
struct Scene {
    pair: Pair,
    database: Postgres,
}

impl Scene {
    fn of(pair: Pair, more: Value) -> Self {
        let database = Postgres::start("");
        database.create("app");
        database.sql("app", "CREATE USER app_user PASSWORD 'first'");
        let target = json!({
            "name": "/db/app", "db-type": "postgres", "host": "127.0.0.1",
            "port": database.port.to_string(), "user-name": "postgres", "pwd": PASSWORD,
            "db-name": "app",
        });
        pair.here.ok("target-create-db", target);
        let mut args = json!({
            "name": SECRET, "target-name": "/db/app", "rotator-type": "password",
            "rotated-username": "app_user", "rotated-password": "first",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pair.here.ok("rotated-secret-create-postgresql", args);
        Self { pair, database }
    }

    /// Every node has a clock that can be set.
    fn with_clocks(more: Value) -> Self {
        Self::of(Pair::with_clocks(&Wish::default()), more)
    }

    fn signs_in(&self, password: &str) -> bool {
        self.database.sql_as(("app_user", password), "app", "SELECT 1").is_ok()
    }

    fn victim(&mut self, round: u64) -> &mut Node {
        let Pair { cluster, second, .. } = &mut self.pair;
        if round.is_multiple_of(2) { &mut cluster.control } else { second }
    }

    fn second_admin(&self) -> Api {
        self.pair.admin_at(&self.pair.second)
    }
}

fn password(api: &Api) -> Option<String> {
    let reply = api.try_call("get-rotated-secret-value", json!({"names": SECRET})).ok()?;
    let value = reply.is_success().then(|| reply.json())?;
    value["value"]["password"].as_str().map(str::to_owned)
}

fn version(api: &Api) -> Option<u64> {
    let reply = api.try_call("describe-item", json!({"name": SECRET})).ok()?;
    reply.is_success().then(|| reply.json()["last_version"].as_u64())?
}

#[test]
fn a_gateway_that_dies_at_a_rotation_is_followed_by_the_other_one() {
    let mut scene = Scene::of(Pair::start(), json!({}));
    let lock = "BEGIN; LOCK TABLE pg_authid IN SHARE MODE; SELECT pg_sleep(600)";
    let mut holder = scene.database.begin_sql("postgres", lock);
    let waiting = |text: &str| {
        let all = format!("select count(*) from pg_stat_activity where {text}");
        scene.database.sql("postgres", &all).trim() != "0"
    };
    wait_until("somebody who holds the lock", || waiting("wait_event = 'PgSleep'"));
    std::thread::scope(|scope| {
        let here = &scene.pair.here;
        // Nobody answers: the gateway is killed while the database has it wait.
        scope.spawn(|| here.try_call("gateway-rotate-secret", json!({"name": SECRET})).is_ok());
        wait_until("a password that is being set", || {
            waiting("wait_event_type = 'Lock' and query like 'ALTER %'")
        });
        scene.pair.cluster.gateway.kill();
    });
    assert_eq!(version(&scene.pair.there), Some(1), "nobody reads what is not known to be set");
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where wait_event = 'PgSleep'";
    scene.database.sql("postgres", end);
    holder.wait().unwrap();
    let there = &scene.pair.there;
    wait_until("the other gateway to bring it to its end", || version(there) == Some(2));
    let new = password(there).unwrap();
    assert!(scene.signs_in(&new) && !scene.signs_in("first"));
    // The dead one might be a frozen one, so nothing else is set for a while.
    let refused = there.refused(409, "gateway-rotate-secret", json!({"name": SECRET}));
    assert!(refused.contains("not heard of again"), "{refused}");
}

#[test]
fn each_date_is_one_rotation_of_two_gateways_whose_clocks_move() {
    let often = json!({"auto-rotate": "true", "rotation-interval": "1", "max-versions": "100"});
    let mut scene = Scene::with_clocks(often);
    let dates = rounds(if in_full() { DATES_IN_FULL } else { DATES });
    for date in 1..=dates {
        // One date is over then, however late in the day it is.
        scene.pair.pass(2 * DAY);
        let admin = scene.second_admin();
        wait_until("a password that has changed", || version(&admin) >= Some(1 + date));
        assert_eq!(version(&admin), Some(1 + date), "once");
        assert!(scene.signs_in(&password(&admin).unwrap()), "date {date}");
        // Back and forth, as clocks are set.
        scene.pair.pass(-120);
        scene.pair.pass(120);
    }
    let admin = scene.second_admin();
    admin.ok("gateway-rotate-secret", json!({"name": SECRET}));
    assert_eq!(version(&admin), Some(2 + dates), "and not once more since");
}

/// As long as somebody runs, what is stored is what the database takes.
#[test]
fn what_is_stored_signs_in_whether_a_gateway_or_control_is_killed() {
    let mut scene = Scene::with_clocks(json!({}));
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let admin = scene.second_admin();
        let before = password(&admin).unwrap();
        std::thread::scope(|scope| {
            let api = &admin;
            scope.spawn(move || {
                let rotate = || api.try_call("gateway-rotate-secret", json!({"name": SECRET}));
                while rotate().is_ok_and(|reply| reply.is_success()) {}
            });
            // In the middle of this one, or of one that comes right after it.
            wait_until("a password to be set", || !scene.signs_in(&before));
            scene.victim(round).kill();
        });
        let Pair { cluster, second, .. } = &mut scene.pair;
        let victim = if round.is_multiple_of(2) { &mut cluster.control } else { second };
        victim.start(&cluster.site);
        scene.pair.pass(QUIET_SECONDS);
        let admin = scene.second_admin();
        wait_until("what is stored to sign in", || {
            password(&admin).is_some_and(|password| scene.signs_in(&password))
        });
        let after = password(&admin).unwrap();
        assert_ne!(before, after, "round {round}");
        let mut admin = admin;
        wait_until("somebody who can rotate it again", || {
            scene.pair.pass(10);
            admin = scene.second_admin();
            let rotate = admin.try_call("gateway-rotate-secret", json!({"name": SECRET}));
            rotate.is_ok_and(|reply| reply.is_success())
        });
        assert!(scene.signs_in(&password(&admin).unwrap()), "round {round}");
        assert!(!scene.signs_in(&after));
    }
}
