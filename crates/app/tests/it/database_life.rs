//! `keysherd db`: a control plane's database is looked over, carried to another engine and back,
//! and an import that was killed is known for what it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::postgres::{Postgres, shared};
use crate::kit::{Finished, Needles, Server, Site, keysherd, wait_until};

const VALUE: &str = "a value that only clients see 8f2a";

impl Site {
    /// Runs `keysherd db` over a data directory.
    fn db(&self, data: &Path, args: &[&str]) -> Finished {
        let data = data.to_str().unwrap();
        self.run(&[&["db"], args, &["--data-dir", data]].concat())
    }

    /// Where the embedded store of the server's control is.
    fn store(&self) -> std::path::PathBuf {
        self.data().join("control/store")
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// What a database is named with.
fn arguments(site: &Site, database: &str) -> Vec<String> {
    shared().arguments(&site.path("password"), database).to_vec()
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn json_of(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("{}", finished.out))
}

/// Values, somebody who may read them, and something that control seals for itself.
fn fill(server: &Server) -> crate::kit::Person {
    let admin = server.admin();
    for number in 0..20 {
        admin.store(&format!("/team/{number}"), VALUE);
    }
    admin.overwrite("/team/0", "the second version");
    let oidc = json!({
        "name": "/people", "issuer": "https://127.0.0.1:1", "client-id": "c",
        "client-secret": "client-secret-canary-4712", "unique-identifier": "email",
    });
    admin.ok("auth-method-create-oidc", oidc);
    admin.person_who_may("reader", &[("item-rule", "/team/*", "read")])
}

#[test]
fn a_server_moves_to_postgres_and_back_with_all_that_it_had() {
    let site = Site::new();
    let server = site.start();
    let person = fill(&server);
    // While it runs: an export is of one moment, and disturbs nobody.
    site.db(&site.data(), &["export", &site.file("running")]).expect(0);
    site.db(&site.data(), &["check"]).expect(0);
    server.admin().store("/late", "value");
    server.stop();

    let found = json_of(&site.db(&site.data(), &["check", "--json"]).expect(0));
    assert_eq!((&found["ok"], &found["problems"]), (&json!(true), &json!([])));
    assert_eq!(found["sealed_rows"], json!({"open": 1, "closed": 0}));
    assert_eq!(found["rows"]["items"], 21);
    let first = site.file("first");
    let said = site.db(&site.data(), &["export", &first]).expect(0);
    assert!(said.out.contains("rows: "), "{}", said.out);
    let mode = fs::metadata(&first).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content = fs::read(&first).unwrap();
    let needles = Needles::of("a value", VALUE.as_bytes())
        .and(Needles::of("a client secret", b"client-secret-canary-4712"))
        .and(Needles::of("the second version", b"the second version"));
    assert_eq!(needles.found_in(&content), Vec::<&str>::new());
    // Nothing is written over.
    site.db(&site.data(), &["export", &first]).expect(73);

    shared().create("moved");
    let database = arguments(&site, "moved");
    let in_database = |verb: &[&str]| site.db(&site.data(), &[verb, &strs(&database)].concat());
    in_database(&["import", &first]).expect(0);
    in_database(&["export", &site.file("second")]).expect(0);
    assert!(fs::read(site.path("second")).unwrap() == content, "not the same to the byte");
    // It is in two places now: the server does not choose.
    let mut undecided = site.server(&site.data());
    undecided.args(strs(&database));
    let ended = crate::kit::finish(&mut undecided, b"");
    assert!(ended.code != 0 && ended.err.contains("move control.db away"), "{}", ended.err);
    fs::rename(site.store(), site.path("store.before")).unwrap();

    let server = site.start_with(&strs(&database));
    let admin = server.admin();
    assert_eq!(admin.read("/team/0"), "the second version");
    let again = server.nobody().login(&person.access_id, &person.access_key);
    assert_eq!(again.read("/team/19"), VALUE);
    admin.store("/made/there", "value");
    in_database(&["check"]).expect(0);
    let said = in_database(&["migrate"]).expect(0);
    assert!(said.out.contains("nothing to do"), "{}", said.out);
    // Nobody imports or exports under a foreign name while it works.
    let busy = in_database(&["import", &first]);
    assert_eq!(busy.code, 73, "{}", busy.err);
    assert!(busy.err.contains("works on this database"), "{}", busy.err);
    server.stop();
    in_database(&["check"]).expect(0);
    in_database(&["export", &site.file("third")]).expect(0);
    in_database(&["import", &first]).expect(73);

    fs::remove_dir_all(site.store()).unwrap();
    site.db(&site.data(), &["import", &site.file("third")]).expect(0);
    site.db(&site.data(), &["export", &site.file("fourth")]).expect(0);
    let third = fs::read(site.path("third")).unwrap();
    assert!(fs::read(site.path("fourth")).unwrap() == third, "not the same to the byte");
    let server = site.start();
    assert_eq!(server.admin().read("/made/there"), "value");
    assert_eq!(server.admin().read("/team/19"), VALUE);
    server.stop();
    site.audit(&["verify"]).expect(0);
    site.db(&site.data(), &["check"]).expect(0);
}

#[test]
fn what_is_not_a_whole_export_of_this_control_plane_is_not_imported() {
    let site = Site::new();
    let server = site.start();
    fill(&server);
    server.stop();
    let good = site.file("good");
    site.db(&site.data(), &["export", &good]).expect(0);
    let content = fs::read(&good).unwrap();
    // The same installation with an empty store, as after the loss of a disk.
    fs::rename(site.store(), site.path("store.lost")).unwrap();
    let refused = |name: &str, content: &[u8], text: &str| {
        let file = site.file(name);
        fs::write(&file, content).unwrap();
        let ended = site.db(&site.data(), &["import", &file]).expect(70);
        assert!(ended.err.contains(text), "{name}: {}", ended.err);
        assert!(!site.store().exists(), "{name}: something was made");
    };
    refused("cut", &content[..content.len() - 1], "cut off");
    let mut changed = content.clone();
    changed[content.len() / 2] ^= 1;
    refused("changed", &changed, "changed or damaged");
    refused("foreign", b"KSDBEXP2 and so on", "not a file of keysherd db export");
    // Control planes with other keys could neither open its seals nor go on with its log.
    let other = Site::new();
    other.start().stop();
    fs::remove_dir_all(other.store()).unwrap();
    let ended = other.db(&other.data(), &["import", &good]).expect(70);
    assert!(ended.err.contains("not signed by the keys"), "{}", ended.err);
    assert!(!other.store().exists());
    // The right keys over the wrong rows are found, too.
    fs::rename(site.path("store.lost"), other.store()).unwrap();
    let found = other.db(&other.data(), &["check"]).expect(70);
    assert!(found.out.contains("NOT INTACT") && found.out.contains("do not open"), "{}", found.out);

    site.db(&site.data(), &["import", &good]).expect(0);
    site.db(&site.data(), &["check"]).expect(0);
    let server = site.start();
    assert_eq!(server.admin().read("/team/7"), VALUE);
    server.stop();
}

/// Keeps one table of a database from being written to, until dropped.
struct Held(std::process::Child);

impl Held {
    fn new(server: &Postgres, database: &str, table: &str) -> Self {
        // Noticed at once when it is ended.
        let hold = format!(
            "SET client_connection_check_interval = '50ms'; \
             LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT pg_sleep(600)"
        );
        let held = Self(server.begin_sql(database, &hold));
        wait_until("the table to be held", || {
            let locks = server.sql(database, "TABLE pg_locks");
            let of_table = |line: &str| line.starts_with("relation") && line.contains("|Exclusive");
            locks.lines().any(of_table)
        });
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_import_that_was_killed_is_not_taken_for_a_store() {
    let (site, database) = (Site::new(), Postgres::start("-c fsync=off"));
    let server = site.start();
    fill(&server);
    server.stop();
    let file = site.file("file");
    site.db(&site.data(), &["export", &file]).expect(0);
    fs::rename(site.store(), site.path("store.before")).unwrap();
    database.create("target");
    // The tables, and nothing in them: what a start of a control plane would leave, or a migration.
    let arguments = database.arguments(&site.path("password"), "target").to_vec();
    let run = |verb: &[&str]| site.db(&site.data(), &[verb, &strs(&arguments)].concat());
    // An empty file is refused before the database is looked at.
    fs::write(site.path("empty"), "").unwrap();
    run(&["import", &site.file("empty")]).expect(70);
    assert_eq!(database.sql("target", "\\dt"), "");
    // As after a migration: the tables, and nothing in them.
    run(&["import", &file]).expect(0);
    database.sql("target", include_str!("../../../store/src/tests/emptied.sql"));
    let held = Held::new(&database, "target", "audit");
    let mut importing = keysherd(&site.home());
    importing.args(["db", "import", &file, "--data-dir"]).arg(site.data()).args(strs(&arguments));
    let import = site.launch(importing);
    let marked = || database.sql("target", "TABLE meta").contains("import|");
    wait_until("the import to be under way", marked);
    import.process.kill();
    drop(held);
    assert_eq!(database.sql("target", "TABLE items"), "");
    let ended = crate::kit::finish(site.server(&site.data()).args(strs(&arguments)), b"");
    assert!(ended.code != 0 && ended.err.contains("db import again"), "{}", ended.err);
    let found = run(&["check"]).expect(70);
    assert!(found.out.contains("has not come to its end"), "{}", found.out);
    run(&["import", &file]).expect(0);
    run(&["check"]).expect(0);
    let server = site.start_with(&strs(&arguments));
    assert_eq!(server.admin().read("/team/7"), VALUE);
    server.stop();
}
