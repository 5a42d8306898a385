//! Killed without warning under concurrent writes, again and again: whatever was acknowledged is
//! there afterwards, whatever is there opens, and the audit chain is whole.

mod writers;

use std::collections::HashSet;

use serde_json::json;

use crate::kit::postgres::Postgres;
use crate::kit::{Api, Server, Site, random, rounds};
use writers::{Fact, Progress, Secret, Work, write};

/// As many as the design asks; they take about two minutes.
const ROUNDS: u64 = 200;
/// Over a database each takes longer.
const DATABASE_ROUNDS: u64 = 6;
/// Most writes that are acknowledged before a kill.
const WRITES_MAX: u64 = 60;
/// The chain grows with each round, so it is not read from its beginning in each.
const ROUNDS_PER_VERIFICATION: u64 = 20;

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let rounds = rounds(ROUNDS);
    Watched::default().kill_and_look(&Site::new(), rounds);
}

/// The same with the store on a database server, which is killed in every other round, too.
#[test]
fn nothing_acknowledged_is_lost_over_a_database() {
    let (site, database) = (Site::new(), Postgres::start(""));
    database.create("store");
    let arguments = database.arguments(&site.path("password"), "store");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let watched = Watched { database: Some(&database), arguments: &arguments };
    watched.kill_and_look(&site, DATABASE_ROUNDS);
}

/// What is killed, and with what it is started again.
#[derive(Default)]
struct Watched<'a> {
    database: Option<&'a Postgres>,
    arguments: &'a [&'a str],
}

impl Watched<'_> {
    fn kill_and_look(&self, site: &Site, rounds: u64) {
        let start = || site.start_with(self.arguments);
        let audit = |args: &[&str]| site.audit(&[args, self.arguments].concat());
        let mut server = start();
        let token = server.admin().token().to_owned();
        let mut all = Vec::new();
        for round in 0..rounds {
            let work = write_and_kill(server, &token, round);
            if let Some(database) = self.database.filter(|_| round % 2 == 1) {
                database.kill();
                database.run("");
            }
            server = start();
            let admin = server.nobody().with_token(&token);
            check_round(&admin, round, &work);
            all.push(work);
            if round % ROUNDS_PER_VERIFICATION == 0 {
                audit(&["verify"]).expect(0);
            }
        }
        let acknowledged: usize = all.iter().map(|work| work.requests.len()).sum();
        assert!(acknowledged as u64 >= rounds, "{acknowledged} writes in {rounds} rounds");
        let admin = server.nobody().with_token(&token);
        for (round, work) in (0..).zip(&all) {
            check_round(&admin, round, work);
        }
        let listed = audit(&["list", "--json", "--limit", "10000000"]).expect(0).out;
        check_audit(&listed, &all);
        server.stop();
        audit(&["verify"]).expect(0);
    }
}

/// Lets all writers write, and kills the server at a moment nobody can foresee.
fn write_and_kill(server: Server, token: &str, round: u64) -> Work {
    let progress = Progress::default();
    let http = server.http.clone();
    let writes = 1 + random() % WRITES_MAX;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..writers::COUNT)
            .map(|number| scope.spawn(write(http.clone(), token, round, number, &progress)))
            .collect();
        progress.wait_for(writes);
        // Somewhere in the next commits.
        std::thread::park_timeout(std::time::Duration::from_micros(random() % 8_000));
        server.process.kill();
        let done = writers.into_iter().map(|writer| writer.join().unwrap());
        done.reduce(Work::and).unwrap()
    })
}

fn check_round(admin: &Api, round: u64, work: &Work) {
    let folder = writers::folder(round);
    let listed = admin.ok("list-items", json!({"path": folder}));
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    let there: HashSet<String> = items
        .iter()
        .filter(|item| item["item_type"] == "STATIC_SECRET")
        .map(|item| item["item_name"].as_str().unwrap().to_owned())
        .collect();
    for (name, secret) in &work.secrets {
        let must = !secret.versions.is_empty() && !secret.deleted;
        assert!(!must || there.contains(name), "round {round}: {name} was lost");
        let may = secret.deletion_pending || !secret.deleted;
        assert!(may || !there.contains(name), "round {round}: {name} came back");
    }
    let known = |name: &&String| !work.secrets.contains_key(*name);
    assert_eq!(there.iter().find(known), None, "round {round}: nobody wrote this");
    if !there.is_empty() {
        check_values(admin, round, work, &there);
    }
    for fact in &work.facts {
        check_fact(admin, fact);
    }
    // A key that nobody was told of may be there; then it works.
    for item in items.iter().filter(|item| item["item_type"] != "STATIC_SECRET") {
        check_fact(admin, &Fact::Key(item["item_name"].as_str().unwrap().to_owned()));
    }
}

/// Every version of every secret opens and has a value that was written.
fn check_values(admin: &Api, round: u64, work: &Work, there: &HashSet<String>) {
    let names: Vec<_> = there.iter().collect();
    let values = admin.ok("get-secret-value", json!({"names": names, "version": -20}));
    for name in there {
        let Secret { versions, pending, .. } = &work.secrets[name];
        let found: Vec<_> = (1..)
            .map_while(|version: u32| values[name][version.to_string()].as_str())
            .map(str::to_owned)
            .collect();
        let with_pending = pending.as_ref().map(|write| write.applied_to(versions));
        assert!(
            found == *versions || Some(&found) == with_pending.as_ref(),
            "round {round}: {name} has {found:?}; acknowledged: {versions:?}; sent: {pending:?}"
        );
    }
}

fn check_fact(admin: &Api, fact: &Fact) {
    match fact {
        Fact::Role(name) => {
            let role = admin.ok("get-role", json!({ "name": name }));
            assert_eq!(role["rules"]["path_rules"][0]["path"], "/a/*", "{role}");
        }
        Fact::Method { access_id, access_key } => drop(admin.login(access_id, access_key)),
        Fact::Key(name) => {
            let args = json!({"key-name": name, "plaintext": "a message"});
            let sealed = admin.ok("encrypt", args)["result"].take();
            let opened = admin.ok("decrypt", json!({"key-name": name, "ciphertext": sealed}));
            assert_eq!(opened["result"], "a message");
        }
    }
}

/// Every acknowledged request has its record.
fn check_audit(listed: &str, all: &[Work]) {
    let recorded: HashSet<_> = listed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["request_id"].as_str().unwrap().to_owned())
        .collect();
    let acknowledged = all.iter().flat_map(|work| &work.requests);
    let missing: Vec<_> = acknowledged.filter(|id| !recorded.contains(*id)).collect();
    assert!(missing.is_empty(), "answered without a record: {missing:?}");
}
