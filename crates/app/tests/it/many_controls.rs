//! Two control planes on one database: what one has answered is in force at the other at once, and
//! neither is missed when it is killed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keysherd_fragments::bundle::ControlEntry;
use serde_json::json;

use crate::kit::postgres::{arguments_at, shared};
use crate::kit::{Api, Cluster, ClusterWish, Http, Node, Proxy, in_full, rule_args, wait_until};

/// Rounds of changes, in the short form and in the long one.
const ROUNDS: (usize, usize) = (25, 400);
/// Writes that are acknowledged before a control plane is killed, and after.
const WRITES: usize = 20;

/// A cluster with two control planes and a gateway at each, which knows the other one, too.
pub(crate) struct Two {
    pub(crate) cluster: Cluster,
    pub(crate) control: Node,
    pub(crate) gateway: Node,
    /// Calls through the gateway at the second control plane, without a token.
    pub(crate) there: Api,
    /// The first gateway's way to the second control plane.
    _spare: Proxy,
}

impl Node {
    /// Keeps its store at this URL, where there is a database.
    pub(crate) fn take_database(&mut self, url: &str) {
        let file = self.data.join("database-password");
        let arguments = arguments_at(url, &file);
        self.own(&file);
        self.take_args(&arguments.each_ref().map(String::as_str));
    }
}

/// A new database on the shared server.
fn new_database(name: &str) -> String {
    shared().create(name);
    shared().open_url(name)
}

/// A second control plane on the first one's database, with the same keys, named by the bundle and
/// started as operators do it.
fn second_control(cluster: &mut Cluster, url: &str) -> Node {
    let mut second = cluster.stranger("control", "control-2", &[]);
    let keys = second.data.join("keys");
    fs::DirBuilder::new().mode(0o700).create(&keys).unwrap();
    let file = keys.join("control.keys");
    fs::copy(cluster.control.data.join("keys/control.keys"), &file).unwrap();
    second.own(&keys);
    second.own(&file);
    second.take_database(url);
    second.start(&cluster.site);
    let tls_spki_sha256 = second.printed_key("identity").spki_sha256();
    let address = second.address.clone();
    cluster.change_bundle(|bundle| bundle.controls.push(ControlEntry { tls_spki_sha256, address }));
    let signed = cluster.site.path("signed-bundle");
    let accept = ["control", "accept-bundle", signed.to_str().unwrap()];
    second.run(&cluster.site, &accept).expect(0);
    // A manager that has not heard of it yet refuses its permits.
    let known = format!("in force version={}", cluster.bundle.version);
    for manager in &cluster.managers {
        wait_until("a manager to know the new bundle", || manager.running().err().contains(&known));
    }
    second
}

impl Two {
    /// The first gateway goes on with the second control plane when the first is gone.
    pub(crate) fn start(url: &str) -> Self {
        let spare = Proxy::loose();
        let gateway = vec!["--control".to_owned(), spare.address.to_string()];
        let database = Some(url.to_owned());
        let wish = ClusterWish { gateway, database, ..ClusterWish::default() };
        let mut cluster = Cluster::start_with(&wish);
        let control = second_control(&mut cluster, url);
        spare.lead_to(&control.address);
        let first = ["--control", &cluster.control.address];
        let mut gateway = cluster.stranger_at(&control, "gateway", "gateway-2", &first);
        gateway.start(&cluster.site);
        let spki = gateway.printed_key("identity").spki_sha256();
        cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
        let signed = cluster.site.path("signed-bundle");
        let accept = ["control", "accept-bundle", signed.to_str().unwrap()];
        control.run(&cluster.site, &accept).expect(0);
        let http = Arc::new(Http::new(&gateway.address, &gateway.data.join("tls/ca.pem")));
        wait_until("the second gateway to be healthy", || {
            http.get("/health").is_ok_and(|reply| reply.status == 200)
        });
        Self { there: Api::new(http), cluster, control, gateway, _spare: spare }
    }

    /// Ends all that use the store, and has the chain verified.
    pub(crate) fn verify(mut self, url: &str) {
        self.gateway.stop();
        self.cluster.gateway.stop();
        self.control.stop();
        self.cluster.control.stop();
        let password = self.cluster.control.data.join("database-password");
        let arguments = arguments_at(url, &password);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.cluster.audit(&[&["verify"], &arguments[..]].concat()).expect(0);
    }
}

fn owner(api: &Api, two: &Two, password: &str) -> u16 {
    let login = json!({
        "access-type": "password",
        "admin-email": two.cluster.bootstrap.owner_email,
        "admin-password": password,
    });
    api.call("auth", login).status
}

#[test]
fn what_one_control_plane_has_answered_is_in_force_at_the_other() {
    let url = new_database("many_controls");
    let two = Two::start(&url);
    let here = two.cluster.admin();
    let there = two.there.with_token(here.token());
    here.store("/team/db", "0");
    let reader = here.person_who_may("reader", &[("item-rule", "/team/*", "read")]);
    let rule = rule_args("reader", ("item-rule", "/team/*", "read"));
    let no_rule = json!({"role-name": "reader", "path": "/team/*", "rule-type": "item-rule"});
    let rounds = if in_full() { ROUNDS.1 } else { ROUNDS.0 };
    for round in 1..=rounds {
        // Each change at one, each look at the other, which had everything in memory.
        let (one, other) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let token = two.cluster.nobody().login(&reader.access_id, &reader.access_key);
        let reading = other.with_token(token.token());
        assert_eq!(reading.read("/team/db"), (round - 1).to_string());
        one.overwrite("/team/db", &round.to_string());
        assert_eq!(reading.read("/team/db"), round.to_string(), "a value");
        one.ok("delete-role-rule", no_rule.clone());
        reading.refused(401, "get-secret-value", json!({"names": ["/team/db"]}));
        one.ok("set-role-rule", rule.clone());
        assert_eq!(reading.read("/team/db"), round.to_string(), "a role");
        one.ok("update-item", json!({"name": "/team/db", "new-name": "/team/moved"}));
        reading.refused(404, "get-secret-value", json!({"names": ["/team/db"]}));
        one.ok("update-item", json!({"name": "/team/moved", "new-name": "/team/db"}));
        one.with_token(token.token()).ok("revoke-creds", json!({}));
        reading.refused(401, "get-secret-value", json!({"names": ["/team/db"]}));
    }
    // Five wrong passwords, wherever they are tried, are five.
    let password = two.cluster.bootstrap.owner_password();
    for turn in 0..5 {
        let api = if turn % 2 == 0 { &here } else { &there };
        assert_eq!(owner(api, &two, "a wrong password"), 401, "try {turn}");
    }
    assert_eq!(owner(&there, &two, &password), 429);
    assert_eq!(owner(&here, &two, &password), 429);
    two.verify(&url);
}

/// What clients did while a control plane was killed.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    written: AtomicUsize,
    reads: AtomicUsize,
    logins: AtomicUsize,
    repeated: AtomicUsize,
}

impl Load {
    /// Waits for some more of everything.
    fn go_on(&self, what: &str) {
        let done = |what: &AtomicUsize, more: usize| what.load(Ordering::Relaxed) + more;
        let writes = done(&self.written, WRITES);
        let reads = done(&self.reads, WRITES);
        let logins = done(&self.logins, 3);
        wait_until(what, || {
            done(&self.written, 0) >= writes
                && done(&self.reads, 0) >= reads
                && done(&self.logins, 0) >= logins
        });
    }

    /// Does something that only reads, once more when it fails.
    fn with_one_retry(&self, what: &str, ask: impl Fn() -> u16) {
        if ask() != 200 {
            self.repeated.fetch_add(1, Ordering::Relaxed);
            assert_eq!(ask(), 200, "{what} failed twice");
        }
    }

    fn read(&self, api: &Api) {
        while !self.over.load(Ordering::Relaxed) {
            let ask = || api.call("get-secret-value", json!({"names": ["/fixed"]})).status;
            self.with_one_retry("a read", ask);
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn login(&self, api: &Api, access_id: &str, access_key: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let login = json!({"access-id": access_id, "access-key": access_key});
            self.with_one_retry("a login", || api.call("auth", login.clone()).status);
            self.logins.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives what was acknowledged.
    fn write(&self, api: &Api, folder: &str) -> BTreeMap<String, String> {
        let mut written = BTreeMap::new();
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let (name, value) = (format!("/{folder}/{number}"), format!("value {number}"));
            let made = api.call("create-secret", json!({"name": name, "value": value}));
            if made.status == 200 {
                written.insert(name, value);
                self.written.fetch_add(1, Ordering::Relaxed);
            }
        }
        written
    }
}

/// Ends the load also when a test fails: whoever waits for its threads would wait for ever.
struct EndsLoad<'a>(&'a Load);

impl Drop for EndsLoad<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Everybody knows one address: that of a balancer which passes bytes on. Whom it leads to shows a
/// key of its own, and the bundle says that it is a control plane.
#[test]
fn one_plain_balancer_leads_to_both_control_planes() {
    let url = new_database("one_balancer");
    let database = Some(url.clone());
    let wish = ClusterWish { wires: true, database, ..ClusterWish::default() };
    let mut cluster = Cluster::start_with(&wish);
    let mut second = second_control(&mut cluster, &url);
    let (one, other) = (cluster.control.address.clone(), second.address.clone());
    cluster.control.wire.as_ref().unwrap().balance(&[&one, &other]);
    let admin = cluster.admin();
    // The managers have just heard of another control plane.
    wait_until("a first write", || admin.try_store("/fixed", "value"));
    let (access_id, access_key) =
        (cluster.bootstrap.access_id.clone(), cluster.bootstrap.access_key.clone());
    let load = Load::default();
    let written = std::thread::scope(|scope| {
        let load = &load;
        let _ends = EndsLoad(load);
        scope.spawn(|| load.read(&admin));
        scope.spawn(|| load.login(&admin, &access_id, &access_key));
        let writer = scope.spawn(|| load.write(&admin, "balanced"));
        load.go_on("work with both");
        // Each in turn, so that everybody had to change over at least once.
        cluster.control.kill();
        load.go_on("work with the second");
        cluster.control.start(&cluster.site);
        second.kill();
        load.go_on("work with the first again");
        second.start(&cluster.site);
        load.go_on("work with both again");
        load.over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    for (name, value) in &written {
        assert_eq!(admin.read(name), *value, "{name} was acknowledged");
    }
    cluster.gateway.stop();
    second.stop();
    let password = cluster.control.data.join("database-password");
    cluster.control.stop();
    let arguments = arguments_at(&url, &password);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cluster.audit(&[&["verify"], &arguments[..]].concat()).expect(0);
}

#[test]
fn a_killed_control_plane_takes_nothing_with_it_and_is_not_missed() {
    let url = new_database("killed_control");
    let mut two = Two::start(&url);
    let here = two.cluster.admin();
    let there = two.there.with_token(here.token());
    here.store("/fixed", "value");
    let (access_id, access_key) =
        (two.cluster.bootstrap.access_id.clone(), two.cluster.bootstrap.access_key.clone());
    let load = Load::default();
    let written = std::thread::scope(|scope| {
        let load = &load;
        let _ends = EndsLoad(load);
        for api in [&here, &there] {
            scope.spawn(move || load.read(api));
        }
        let (here, there) = (&here, &there);
        scope.spawn(|| load.login(here, &access_id, &access_key));
        let writers = [(here, "here"), (there, "there")]
            .map(|(api, folder)| scope.spawn(move || load.write(api, folder)));
        load.go_on("work with both");
        two.cluster.control.kill();
        load.go_on("work with one");
        two.cluster.control.start(&two.cluster.site);
        load.go_on("work with both again");
        load.over.store(true, Ordering::Relaxed);
        writers.map(|writer| writer.join().unwrap())
    });
    for (name, value) in written.iter().flatten() {
        assert_eq!(there.read(name), *value, "{name} was acknowledged");
    }
    println!(
        "{} writes, {} reads and {} logins; {} repeated once",
        load.written.load(Ordering::Relaxed),
        load.reads.load(Ordering::Relaxed),
        load.logins.load(Ordering::Relaxed),
        load.repeated.load(Ordering::Relaxed),
    );
    two.verify(&url);
}
