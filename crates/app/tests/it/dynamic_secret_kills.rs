//! No user that nobody knows of, and none that stays, whoever is killed at whichever point of
//! making and removing credentials: on PostgreSQL, MariaDB, MySQL and
//! Redis.
//!
//! The wire to the target stops at a named point; then the server (gateway and control), or the
//! connection, ends, and what was on the wire goes on or does not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::mysql::Product;
use crate::kit::mysql_server::{self, MySql};
use crate::kit::postgres::{self, Postgres};
use crate::kit::redis::{self, Redis};
use crate::kit::{
    Ambush, Api, Bootstrap, Cluster, FakeClock, Fate, Point, Server, Site, in_full, rounds,
    wait_until,
};

/// Every point, with everybody who can be killed there.
const ROUNDS: u64 = 8;
/// The same in full.
const ROUNDS_IN_FULL: u64 = 24;
/// Rounds after which all that was given is taken back.
const CLEARED_AFTER: u64 = 8;
/// Seconds after which an intent that nobody confirmed is at an end; and a little more.
const INTENT_SECONDS: i64 = 130;
/// Seconds after which what may have come late is removed a second time; and a little more.
const AGAIN_SECONDS: i64 = 610;
/// Seconds after which what somebody took is given to another one; and a little more.
const WORK_SECONDS: i64 = 12;
/// When more time passes, where nothing has changed.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
const SECRET: &str = "/dyn/killed";

/// Who ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// Gateway and control in one process.
    Server,
    Gateway,
    Control,
    Connection,
}

/// Where gateway and control are.
enum Home {
    Alone(Site, Box<Server>, FakeClock),
    Apart(Box<Cluster>),
}

impl Home {
    /// In one process.
    fn alone() -> Self {
        let site = Site::new();
        // The clock is kept where the server keeps its data.
        site.start().stop();
        let clock = FakeClock::new(&site.data());
        let server = Box::new(started(&site, &clock));
        Self::Alone(site, server, clock)
    }

    /// In processes of their own, with clocks that are set together.
    fn apart() -> Self {
        let mut cluster = Cluster::start();
        for place in 0..cluster.nodes().count() {
            let (site, node) = cluster.node(place);
            node.stop();
            node.take_clock();
            node.start(site);
        }
        cluster.wait_until_healthy();
        Self::Apart(Box::new(cluster))
    }

    /// Who is killed, in turn.
    fn victims(&self) -> [(Victim, Fate); 2] {
        match self {
            Self::Alone(..) => [(Victim::Server, Fate::GoesOn), (Victim::Connection, Fate::Cut)],
            Self::Apart(_) => [(Victim::Gateway, Fate::GoesOn), (Victim::Control, Fate::GoesOn)],
        }
    }

    fn admin(&self) -> Api {
        match self {
            Self::Alone(_, server, _) => server.admin(),
            Self::Apart(cluster) => {
                // Whoever was killed may be at its start still: calls that cannot be recorded then
                // are refused, and clients ask again.
                let Bootstrap { access_id, access_key, .. } = &cluster.bootstrap;
                let login = json!({"access-id": access_id, "access-key": access_key});
                let mut token = None;
                wait_until("a login to be recorded", || {
                    let answered = cluster.nobody().try_call("auth", login.clone()).ok();
                    let answer = answered.filter(crate::kit::Reply::is_success);
                    token = answer.map(|reply| reply.json()["token"].as_str().unwrap().to_owned());
                    token.is_some()
                });
                cluster.nobody().with_token(&token.unwrap())
            }
        }
    }

    fn set_clock(&self, ahead: i64) {
        match self {
            Self::Alone(_, _, clock) => clock.set(ahead),
            Self::Apart(cluster) => cluster.nodes().for_each(|node| node.set_clock(ahead)),
        }
    }

    fn kill(&mut self, victim: Victim) {
        match (self, victim) {
            (Self::Alone(_, server, _), Victim::Server) => server.process.end(),
            (Self::Apart(cluster), Victim::Gateway) => cluster.gateway.kill(),
            (Self::Apart(cluster), Victim::Control) => cluster.control.kill(),
            (_, _) => assert_eq!(victim, Victim::Connection),
        }
    }

    /// Starts again who was killed.
    fn again(&mut self, victim: Victim) {
        match (self, victim) {
            (Self::Alone(site, server, clock), Victim::Server) => **server = started(site, clock),
            (Self::Apart(cluster), Victim::Gateway | Victim::Control) => {
                let Cluster { gateway, control, site, .. } = &mut **cluster;
                let killed = if victim == Victim::Gateway { gateway } else { control };
                killed.start(site);
                cluster.wait_until_healthy();
            }
            (_, _) => assert_eq!(victim, Victim::Connection),
        }
    }
}

/// A target of some kind.
trait Target {
    /// What is said to make a target of it, and a dynamic secret.
    fn arguments(&self) -> (Value, &'static str, Value);
    fn port(&self) -> u16;
    /// Words of what makes a user, and of what removes it.
    fn words(&self) -> (&'static str, &'static str);
    /// The temporary users there.
    fn users(&self) -> Vec<String>;
    fn signs_in(&self, user: &str, password: &str) -> bool;
}

impl Target for Postgres {
    fn arguments(&self) -> (Value, &'static str, Value) {
        let target = json!({
            "db-type": "postgres", "user-name": "postgres", "pwd": postgres::PASSWORD,
            "db-name": "postgres",
        });
        let statements = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                          GRANT pg_monitor TO \"{{name}}\"";
        let secret = json!({"creation-statements": statements});
        (target, "dynamic-secret-create-postgresql", secret)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn words(&self) -> (&'static str, &'static str) {
        ("CREATE ROLE", "DROP USER")
    }

    fn users(&self) -> Vec<String> {
        let users = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'tmp.%'";
        self.sql("postgres", users).lines().map(str::to_owned).collect()
    }

    fn signs_in(&self, user: &str, password: &str) -> bool {
        self.sql_as((user, password), "postgres", "SELECT 1").is_ok()
    }
}

impl Target for MySql {
    fn arguments(&self) -> (Value, &'static str, Value) {
        let (user, password) = mysql_server::ADMIN;
        let target =
            json!({"db-type": "mysql", "user-name": user, "pwd": password, "db-name": "app"});
        let statements = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; \
                          GRANT SELECT ON app.t1 TO '{{name}}'@'%'";
        let secret = json!({"mysql-screation-statements": statements});
        (target, "dynamic-secret-create-mysql", secret)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn words(&self) -> (&'static str, &'static str) {
        ("CREATE USER", "DROP USER")
    }

    fn users(&self) -> Vec<String> {
        let users = self.sql("SELECT user FROM mysql.user WHERE user LIKE 'tmp.%'");
        users.lines().map(str::to_owned).collect()
    }

    fn signs_in(&self, user: &str, password: &str) -> bool {
        self.sql_as((user, password), "SELECT x FROM app.t1").is_ok()
    }
}

impl Target for Redis {
    fn arguments(&self) -> (Value, &'static str, Value) {
        let target = json!({"db-type": "redis", "pwd": redis::PASSWORD});
        let secret = json!({"acl-rules": "[\"~app:*\", \"+get\", \"+ping\"]"});
        (target, "dynamic-secret-create-redis", secret)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn words(&self) -> (&'static str, &'static str) {
        ("SETUSER", "DELUSER")
    }

    fn users(&self) -> Vec<String> {
        let users = self.ask(&["ACL", "USERS"]);
        users.lines().filter(|user| user.starts_with("tmp.")).map(str::to_owned).collect()
    }

    fn signs_in(&self, user: &str, password: &str) -> bool {
        self.ask_as((user, password), &["PING"]).contains("PONG")
    }
}

struct Scene<'a> {
    home: Home,
    admin: Api,
    /// How far the clock is ahead, in seconds.
    ahead: i64,
    target: &'a (dyn Target + Sync),
    wire: Ambush,
}

fn started(site: &Site, clock: &FakeClock) -> Server {
    let mut command = site.server(&site.data());
    command.envs(clock.environment());
    let server = site.launch(command).ready();
    FakeClock::tidy(server.process.pid());
    server
}

impl<'a> Scene<'a> {
    fn start(home: Home, target: &'a (dyn Target + Sync)) -> Self {
        let admin = home.admin();
        let wire = Ambush::to(target.port());
        let (mut place, create, mut secret) = target.arguments();
        place["name"] = "/db/killed".into();
        place["host"] = "127.0.0.1".into();
        place["port"] = wire.address.port().to_string().into();
        admin.ok("target-create-db", place);
        secret["name"] = SECRET.into();
        secret["target-name"] = "/db/killed".into();
        secret["user-ttl"] = "60m".into();
        admin.ok(create, secret);
        Self { home, admin, ahead: 0, target, wire }
    }

    fn leases(&self) -> Vec<Value> {
        let list = self.admin.ok("dynamic-secret-tmp-creds-get", json!({"name": SECRET}));
        list.as_array().unwrap().clone()
    }

    fn signs_in(&self, credentials: &Value) -> bool {
        let text = |field: &str| credentials[field].as_str().unwrap().to_owned();
        self.target.signs_in(&text("user"), &text("password"))
    }

    /// Stops what `ask` does at this point of the wire, and ends somebody there; what was answered,
    /// if anything was.
    fn killed(
        &mut self,
        (command, args): (&str, Value),
        (words, point): (&'static str, Point),
        victim: Victim,
        fate: Fate,
    ) -> Option<Value> {
        self.wire.lay(words, point);
        let api = self.admin.clone();
        let answered = std::thread::scope(|scope| {
            let asked = scope.spawn(move || api.try_call(command, args));
            self.wire.wait("somebody to be caught");
            self.home.kill(victim);
            self.wire.let_go(fate);
            self.home.again(victim);
            asked.join().unwrap()
        });
        if victim != Victim::Connection {
            // What it was busy with is somebody else's from now on.
            self.pass(WORK_SECONDS);
        }
        answered.ok().filter(crate::kit::Reply::is_success).map(|reply| reply.json())
    }

    /// Every user is one that somebody knows of.
    fn check(&self, given: &[Value]) {
        let known = self.leases();
        for user in self.target.users() {
            let lease = super::dynamic_secrets::id_in(&user);
            let knows = |known: &Value| known["id"].as_str().unwrap().starts_with(&lease);
            assert!(known.iter().any(knows), "nobody knows of {user}: {known:?}");
        }
        for credentials in given {
            assert!(self.signs_in(credentials), "what was given lives: {}", credentials["id"]);
        }
    }

    /// Takes everything back; by then nobody is making any.
    fn clear(&mut self) {
        let all = json!({"name": SECRET, "revoke-all": true});
        // Whatever does not go now is due then.
        self.admin.call("dynamic-secret-tmp-creds-delete", all);
        self.pass(INTENT_SECONDS);
        wait_until("all users to be gone", || self.target.users().is_empty());
    }

    fn pass(&mut self, seconds: i64) {
        self.ahead += seconds;
        self.home.set_clock(self.ahead);
        self.admin = self.home.admin();
    }
}

fn no_user_stays(home: Home, target: &(dyn Target + Sync)) {
    let victims = home.victims();
    let mut scene = Scene::start(home, target);
    let (makes, removes) = target.words();
    let mut given = Vec::new();
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let point = if round % 2 == 0 { Point::Asked } else { Point::Done };
        let [first, second] = victims;
        let (victim, fate) = if round / 2 % 2 == 0 { first } else { second };
        let get = ("dynamic-secret-get-value", json!({"name": SECRET}));
        if round / 4 % 2 == 0 {
            let answered = scene.killed(get, (makes, point), victim, fate);
            given.extend(answered);
        } else {
            let (command, args) = get;
            let lease = scene.admin.ok(command, args);
            assert!(scene.signs_in(&lease));
            let revoke = json!({"name": SECRET, "tmp-creds-id": lease["id"]});
            let revoke = ("dynamic-secret-tmp-creds-delete", revoke);
            scene.killed(revoke, (removes, point), victim, fate);
            wait_until("the end of what was revoked", || !scene.signs_in(&lease));
        }
        scene.check(&given);
        if round % CLEARED_AFTER == CLEARED_AFTER - 1 {
            given.clear();
            scene.clear();
        }
    }
    scene.clear();
    // What may have come late is looked for a second time.
    let mut passed: Option<Instant> = None;
    wait_until("nothing to be left to do", || {
        if passed.is_none_or(|at| at.elapsed() > AGAIN_AFTER) {
            scene.pass(AGAIN_SECONDS);
            passed = Some(Instant::now());
        }
        scene.leases().is_empty()
    });
    assert_eq!(target.users(), [""; 0]);
}

#[test]
fn no_user_stays_on_postgresql_whoever_is_killed_where() {
    no_user_stays(Home::alone(), &Postgres::start("-c fsync=off"));
}

#[test]
fn no_user_stays_on_mariadb_whoever_is_killed_where() {
    no_user_stays(Home::alone(), &MySql::start(Product::MariaDb));
}

#[test]
fn no_user_stays_on_mysql_whoever_is_killed_where() {
    if Product::all().contains(&Product::MySql) {
        no_user_stays(Home::alone(), &MySql::start(Product::MySql));
    }
}

#[test]
fn no_user_stays_on_redis_whoever_is_killed_where() {
    no_user_stays(Home::alone(), &Redis::start());
}

#[test]
fn no_user_stays_whether_gateway_or_control_is_killed() {
    no_user_stays(Home::apart(), &Redis::start());
}

/// Redis has no lock that removing could wait for.
#[test]
fn what_is_made_after_it_was_removed_is_removed_again() {
    let redis = Redis::start();
    let mut scene = Scene::start(Home::alone(), &redis);
    let removed = || {
        let stats = redis.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.starts_with("cmdstat_acl|deluser:"));
        let calls = line.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
        calls.map_or(0, |calls| calls.parse::<u64>().unwrap())
    };
    let before = removed();
    scene.wire.lay("SETUSER", Point::Asked);
    let args = json!({"name": SECRET, "timeout": 15});
    scene.admin.refused(503, "dynamic-secret-get-value", args);
    // Whoever asked has looked, and so has who removes what is due: there was nothing.
    wait_until("the first removals", || removed() >= before + 2);
    assert!(redis.users().is_empty());
    scene.wire.let_go(Fate::GoesOn);
    wait_until("what comes late", || redis.users().len() == 1);
    scene.check(&[]);
    assert_eq!(scene.leases().len(), 1, "somebody knows of it");
    let refused = scene.admin.call("dynamic-secret-delete", json!({"name": SECRET}));
    assert_eq!(refused.status, 409, "{}", refused.text());
    scene.pass(AGAIN_SECONDS);
    wait_until("its end", || redis.users().is_empty() && scene.leases().is_empty());
}
