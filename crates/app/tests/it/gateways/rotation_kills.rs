//! What is stored is what signs in, whoever is killed at whichever named point of a rotation: the
//! gateway at work, control, or the target's connection, on PostgreSQL, MariaDB and Redis.
//!
//! The wire to the target stops at a named point, or the one to control does; then somebody ends,
//! and what was on the wire goes on or is lost. Nobody asks for anything after that: whoever runs
//! brings the rotation to its end, within the ten seconds that the guide names.

use std::thread;

use serde_json::{Value, json};

use super::Pair;
use crate::kit::mysql::Product;
use crate::kit::{
    Ambush, Api, Cluster, ClusterWish as Wish, Fate, Point, Proxy, Way, in_full, rounds, wait_until,
};
use crate::rotated_secrets::accounts::{Accounts, FIRST, Redis, USER, mysql, postgres};

/// Every point, each with somebody else on each kind of target.
const ROUNDS: u64 = 5;
/// Every point with everybody who can be killed there, and both fates of what was on the wire.
const ROUNDS_IN_FULL: u64 = 30;
/// Seconds after which whoever died is followed, and what failed is tried again.
const FOLLOWED_SECONDS: i64 = 10;
/// Seconds after which nobody waits any more for one that might be frozen; and a little more.
const QUIET_SECONDS: i64 = 1_000;
const SECRET: &str = "/rot/app";
const TARGET: &str = "/db/app";

/// Where a rotation is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// New credentials are stored; the target has not heard of them.
    Stored,
    /// The target takes them; nobody was told so.
    Changed,
    /// It let somebody in with them, who was not told so.
    TriedOut,
    /// The gateway knows; control does not: they are not promoted.
    Verified,
    /// Control has promoted them; the gateway was not told so.
    Promoted,
}

const POINTS: [At; 5] = [At::Stored, At::Changed, At::TriedOut, At::Verified, At::Promoted];

/// Who ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Gateway,
    Control,
    Connection,
}

impl At {
    /// Who can end there.
    fn victims(self) -> &'static [Victim] {
        match self {
            Self::Stored | Self::Changed | Self::TriedOut => {
                &[Victim::Gateway, Victim::Control, Victim::Connection]
            }
            // The target has nothing to say any more.
            Self::Verified | Self::Promoted => &[Victim::Control, Victim::Gateway],
        }
    }
}

/// Words on the wire to a kind of target: of what sets a password, of what makes that last, and of
/// the last question of who signs in.
fn words(kind: &str) -> [&'static str; 3] {
    match kind {
        // With what ends it on the wire: isolation levels begin with the same word.
        "postgresql" => ["ALTER ROLE", "COMMIT\0", "c=biws"],
        "mysql" => ["ALTER USER", "ALTER USER", USER],
        _ => ["SETUSER", "SETUSER", "AUTH"],
    }
}

struct Scene<'a> {
    pair: Pair,
    accounts: &'a (dyn Accounts + Sync),
    wire: Ambush,
    /// Every password that there was, the newest last.
    known: Vec<String>,
}

impl<'a> Scene<'a> {
    fn start(accounts: &'a (dyn Accounts + Sync)) -> Self {
        let pair = Pair::with_clocks(&Wish { wires: true, ..Wish::default() });
        let mut target = accounts.target();
        let port = target["port"].as_str().unwrap().parse().unwrap();
        let wire = Ambush::to(port);
        target["port"] = wire.address.port().to_string().into();
        assert_eq!(target["name"], TARGET);
        pair.here.ok("target-create-db", target);
        let args = json!({
            "name": SECRET, "target-name": TARGET, "rotator-type": "password",
            "rotated-username": USER, "rotated-password": FIRST, "max-versions": "100",
            "authentication-credentials": "use-target-creds",
        });
        pair.here.ok(&format!("rotated-secret-create-{}", accounts.kind()), args);
        Self { pair, accounts, wire, known: vec![FIRST.to_owned()] }
    }

    /// An administrator at the gateway that nobody kills.
    fn there(&self) -> Api {
        self.pair.admin_at(&self.pair.second)
    }

    fn lay(&self, at: At) {
        let [sets, keeps, tries] = words(self.accounts.kind());
        match at {
            At::Stored => self.wire.lay(sets, Point::Asked),
            At::Changed => self.wire.lay(keeps, Point::Done),
            At::TriedOut | At::Verified | At::Promoted => {
                self.wire.lay_after(keeps, tries, Point::Done);
            }
        }
    }

    /// Rotates, and ends somebody at this point of it.
    fn killed(&mut self, at: At, victim: Victim, fate: Fate) {
        let (here, there) = (self.pair.admin_at(&self.pair.cluster.gateway), self.there());
        let before = state(&there).unwrap();
        self.lay(at);
        let Self { pair, wire, accounts, known, .. } = self;
        let Pair { cluster, .. } = pair;
        let old = known.last().unwrap();
        thread::scope(|scope| {
            let rotate = json!({"name": SECRET});
            let asked = scope.spawn(move || here.try_call("gateway-rotate-secret", rotate));
            wire.wait("a rotation to get there");
            assert_eq!(state(&there).unwrap(), before, "read before it is known to be set");
            assert_eq!(accounts.signs_in(old), at == At::Stored, "{at:?} is somewhere else");
            match at {
                At::Stored | At::Changed | At::TriedOut => {}
                At::Verified => {
                    to_control(cluster).hold(Way::Questions);
                    wire.let_go(Fate::GoesOn);
                    wire.wait_for_silence("the gateway to be through with the target");
                }
                At::Promoted => {
                    to_control(cluster).hold(Way::Answers);
                    wire.let_go(Fate::GoesOn);
                    wait_until("control to know", || state(&there).unwrap() != before);
                }
            }
            match victim {
                Victim::Gateway => cluster.gateway.kill(),
                Victim::Control => cluster.control.kill(),
                Victim::Connection => {}
            }
            wire.let_go(fate);
            to_control(cluster).let_go();
            started_again(cluster, victim);
            // Nobody is at it any more who could go on with it.
            asked.join().unwrap().ok();
        });
    }

    /// The rotation comes to its end by itself, and only what is stored then signs in.
    fn check(&mut self, round: u64) {
        self.pair.pass(FOLLOWED_SECONDS);
        let there = self.there();
        let wanted = u64::try_from(self.known.len()).unwrap() + 1;
        wait_until("the end of a rotation", || {
            state(&there)
                .is_some_and(|(version, status)| version == wanted && status == "RotationSucceeded")
        });
        let new = password(&there);
        assert!(self.accounts.signs_in(&new), "{round}: what is stored does not sign in");
        for old in &self.known {
            assert!(!self.accounts.signs_in(old), "{round}: another password signs in");
        }
        self.known.push(new);
        self.pair.pass(QUIET_SECONDS);
    }

    /// The audit log has each rotation that came to its end, once.
    fn check_the_log(&self) {
        let search = json!({"action": "rotate_credentials", "limit": 1_000});
        let found = self.there().ok("audit-search", search);
        let records = found["records"].as_array().unwrap().iter();
        assert_eq!(records.filter(is_success).count(), self.known.len() - 1, "{found}");
    }
}

fn is_success(record: &&Value) -> bool {
    record["request_parameters"].as_object().is_some_and(|params| !params.contains_key("error"))
}

fn to_control(cluster: &Cluster) -> &Proxy {
    cluster.control.wire.as_ref().unwrap()
}

fn started_again(cluster: &mut Cluster, victim: Victim) {
    let Cluster { gateway, control, site, .. } = cluster;
    match victim {
        Victim::Gateway => gateway.start(site),
        Victim::Control => control.start(site),
        Victim::Connection => return,
    }
    cluster.wait_until_healthy();
}

/// The version that people read, and what came of the last rotation.
fn state(api: &Api) -> Option<(u64, String)> {
    let reply = api.try_call("describe-item", json!({"name": SECRET})).ok()?;
    let shown = reply.is_success().then(|| reply.json())?;
    let details = &shown["item_general_info"]["rotated_secret_details"];
    let status = details["rotator_status"].as_str().unwrap_or_default().to_owned();
    Some((shown["last_version"].as_u64()?, status))
}

fn password(api: &Api) -> String {
    let value = api.ok("get-rotated-secret-value", json!({"names": SECRET}));
    value["value"]["password"].as_str().unwrap().to_owned()
}

/// `place` has each kind of target begin with somebody else.
fn only_what_is_stored_signs_in(accounts: &(dyn Accounts + Sync), place: usize) {
    let mut scene = Scene::start(accounts);
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let number = usize::try_from(round).unwrap();
        let at = POINTS[number % POINTS.len()];
        let pass = number / POINTS.len();
        let victims = at.victims();
        let victim = victims[(number + pass + place) % victims.len()];
        let lost = victim == Victim::Connection || pass / 3 % 2 == 1;
        scene.killed(at, victim, if lost { Fate::Cut } else { Fate::GoesOn });
        scene.check(round);
    }
    // Nothing is in the way of the next one.
    let there = scene.there();
    there.ok("gateway-rotate-secret", json!({"name": SECRET}));
    let new = password(&there);
    assert!(accounts.signs_in(&new) && !accounts.signs_in(scene.known.last().unwrap()));
    scene.known.push(new);
    scene.check_the_log();
    scene.pair.cluster.control.stop();
    scene.pair.cluster.audit(&["verify"]).expect(0);
}

#[test]
fn only_what_is_stored_signs_in_on_postgresql_whoever_is_killed_where() {
    only_what_is_stored_signs_in(&postgres(), 0);
}

#[test]
fn only_what_is_stored_signs_in_on_mariadb_whoever_is_killed_where() {
    only_what_is_stored_signs_in(&mysql(Product::MariaDb), 1);
}

#[test]
fn only_what_is_stored_signs_in_on_redis_whoever_is_killed_where() {
    only_what_is_stored_signs_in(&Redis::start(), 2);
}
