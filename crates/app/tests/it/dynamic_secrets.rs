//! Dynamic secrets as people use them, on a real PostgreSQL: credentials that do what their
//! statements grant and nothing else, for as long as they live; and no user that nobody knows of,
//! whoever is killed.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{Api, FakeClock, Server, Site, in_full, random, rounds, wait_for, wait_until};

/// What reads one table.
const READS_ONE: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                         GRANT SELECT ON t1 TO \"{{name}}\";";
/// What writes another one.
const WRITES_TWO: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                          GRANT INSERT ON t2 TO \"{{name}}\";";
/// Rounds of killing.
const ROUNDS: u64 = 4;
/// The same in full.
const ROUNDS_IN_FULL: u64 = 24;
/// Rounds after which all that was given is taken back, so that there are never too many.
const TAKEN_BACK_AFTER: u64 = 6;
/// Credentials that are asked for at one time while somebody is killed.
const CLIENTS: usize = 4;

/// Seconds after which an intent that nobody confirmed is at an end; and a little more.
const INTENT_SECONDS: i64 = 150;

struct Scene {
    site: Site,
    server: Server,
    admin: Api,
    database: Postgres,
}

impl Scene {
    fn start() -> Self {
        let database = Postgres::start("");
        database.create("app");
        database.sql("app", "CREATE TABLE t1 (x int); CREATE TABLE t2 (x int)");
        database.sql("app", "INSERT INTO t1 VALUES (42)");
        let site = Site::new();
        let server = site.start();
        let admin = server.admin();
        admin.ok("target-create-db", target("/db/app", database.port));
        Self { site, server, admin, database }
    }

    fn make(&self, name: &str, statements: &str) {
        let args = json!({
            "name": name, "target-name": "/db/app", "creation-statements": statements,
            "user-ttl": "60m",
        });
        self.admin.ok("dynamic-secret-create-postgresql", args);
    }

    /// The users that were made on the database.
    fn users(&self) -> Vec<String> {
        let users = self.database.sql("app", "SELECT rolname FROM pg_roles ORDER BY 1");
        let own = |user: &&str| *user != "postgres" && !user.starts_with("pg_");
        users.lines().filter(own).map(str::to_owned).collect()
    }

    /// Kills the server and starts another one, whose clock can be set.
    fn restart_with_clock(&mut self) -> FakeClock {
        self.server.process.end();
        let clock = FakeClock::new(&self.site.data());
        let mut command = self.site.server(&self.site.data());
        command.envs(clock.environment());
        self.server = self.site.launch(command).ready();
        FakeClock::tidy(self.server.process.pid());
        clock
    }

    /// What clients get until the server, or every third time the database, is killed.
    fn served_until_killed(&self, round: u64) -> Vec<Value> {
        let api = &self.admin;
        let after = random() % 12;
        std::thread::scope(|scope| {
            let ask = || {
                let mut answers = Vec::new();
                for _ in 0..after.max(1) {
                    let args = json!({"name": "/dyn/reads"});
                    match api.try_call("dynamic-secret-get-value", args) {
                        Ok(reply) if reply.is_success() => answers.push(reply.json()),
                        _ => break,
                    }
                }
                answers
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
            wait_for("somebody to be served", || (!self.users().is_empty()).then_some(()));
            if round % 3 == 2 {
                self.database.kill();
            } else {
                self.server.process.signal(Signal::KILL);
            }
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        })
    }

    /// Has all that was given removed, and waits until it is.
    fn take_back(&self, given: &[Value]) {
        let all = json!({"name": "/dyn/reads", "revoke-all": true});
        // What takes longer than somebody waits for it is removed all the same.
        self.admin.call("dynamic-secret-tmp-creds-delete", all);
        wait_until("the end of what was given", || {
            let users = self.users();
            given.iter().all(|one| users.iter().all(|user| one["user"] != **user))
        });
    }

    fn sql(&self, credentials: &Value, statement: &str) -> Result<String, String> {
        let text = |field: &str| credentials[field].as_str().unwrap().to_owned();
        let (user, password) = (text("user"), text("password"));
        self.database.sql_as((&user, &password), "app", statement)
    }
}

fn target(name: &str, port: u16) -> Value {
    json!({
        "name": name, "db-type": "postgres", "host": "127.0.0.1", "port": port.to_string(),
        "user-name": "postgres", "pwd": PASSWORD, "db-name": "app",
    })
}

fn value(api: &Api, name: &str) -> Value {
    api.ok("dynamic-secret-get-value", json!({"name": name}))
}

fn leases(api: &Api, name: &str) -> Vec<Value> {
    let list = api.ok("dynamic-secret-tmp-creds-get", json!({"name": name}));
    list.as_array().unwrap().clone()
}

/// The beginning of the id of the credentials that have this user.
pub(crate) fn id_in(user: &str) -> String {
    let mark = user.rsplit_once('.').unwrap().1;
    let digit = |c: char| "abcdefghijklmnopqrstuvwxyz234567".find(c).unwrap() as u128;
    let bits = mark.chars().fold(0_u128, |bits, c| (bits << 5) | digit(c));
    format!("{bits:020x}")
}

#[test]
fn credentials_do_what_their_statements_grant_and_end() {
    let scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    scene.make("/dyn/writes", WRITES_TWO);
    assert_eq!(scene.users(), [""; 0], "a trial left a user");
    let person = scene.admin.person_who_may("app", &[("item-rule", "/dyn/*", "read")]);

    let reads = value(&person.api, "/dyn/reads");
    let writes = value(&person.api, "/dyn/writes");
    assert_eq!(scene.sql(&reads, "SELECT x FROM t1").unwrap(), "42");
    scene.sql(&writes, "INSERT INTO t2 VALUES (1)").unwrap();
    for (credentials, statement) in [
        (&reads, "SELECT x FROM t2"),
        (&reads, "INSERT INTO t1 VALUES (1)"),
        (&writes, "SELECT x FROM t2"),
        (&writes, "SELECT x FROM t1"),
        (&reads, "CREATE ROLE mine"),
    ] {
        let said = scene.sql(credentials, statement).unwrap_err();
        assert!(said.contains("permission denied"), "{statement}: {said}");
    }
    assert_eq!(reads["ttl_in_minutes"], "60");
    let listed = leases(&person.api, "/dyn/reads");
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &reads["id"]));
    assert_eq!(listed[0]["access_id"], person.access_id.as_str());

    // Only who may update the secret ends them.
    let revoke = json!({"name": "/dyn/reads", "tmp-creds-id": reads["id"]});
    person.api.refused(401, "dynamic-secret-tmp-creds-delete", revoke.clone());
    scene.admin.ok("dynamic-secret-tmp-creds-delete", revoke);
    scene.sql(&reads, "SELECT x FROM t1").unwrap_err();
    assert!(leases(&scene.admin, "/dyn/reads").is_empty());
    assert_eq!(scene.users().len(), 1);

    // A secret with credentials is not deleted under them.
    let said = scene.admin.refused(409, "dynamic-secret-delete", json!({"name": "/dyn/writes"}));
    assert!(said.contains("revoke"), "{said}");
    let all = json!({"name": "/dyn/writes", "revoke-all": true});
    scene.admin.ok("dynamic-secret-tmp-creds-delete", all);
    scene.admin.ok("dynamic-secret-delete", json!({"name": "/dyn/writes"}));
    assert_eq!(scene.users(), [""; 0]);
    scene.server.stop();
    scene.site.audit(&["verify"]).expect(0);
}

#[test]
fn credentials_end_by_themselves_when_their_time_is_over() {
    let scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    let credentials = value(&scene.admin, "/dyn/reads");
    let soon = json!({
        "name": "/dyn/reads", "tmp-creds-id": credentials["id"], "host": "", "new-ttl-min": 0,
    });
    scene.admin.refused(400, "dynamic-secret-tmp-creds-update", soon);
    let args = json!({
        "name": "/dyn/short", "target-name": "/db/app", "creation-statements": READS_ONE,
        "user-ttl": "10s",
    });
    scene.admin.ok("dynamic-secret-create-postgresql", args);
    let short = value(&scene.admin, "/dyn/short");
    wait_until("the end of short credentials", || {
        scene.sql(&short, "SELECT 1").is_err() && leases(&scene.admin, "/dyn/short").is_empty()
    });
    // The others live on.
    assert_eq!(scene.sql(&credentials, "SELECT x FROM t1").unwrap(), "42");
}

/// It has opened nothing yet, and nobody asks for anything.
#[test]
fn a_gateway_that_was_just_started_removes_what_is_due() {
    let mut scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    value(&scene.admin, "/dyn/reads");
    assert_eq!(scene.users().len(), 1);
    scene.restart_with_clock().set(2 * 3_600);
    wait_until("the end of what was given before", || scene.users().is_empty());
}

#[test]
fn what_gets_another_name_goes_on_making_and_removing_credentials() {
    let scene = Scene::start();
    scene.make("/dyn/a/reads", READS_ONE);
    value(&scene.admin, "/dyn/a/reads");
    let renamed = json!({"name": "/dyn/a/reads", "new-name": "/dyn/a/renamed"});
    scene.admin.ok("dynamic-secret-update-postgresql", renamed);
    value(&scene.admin, "/dyn/a/renamed");
    scene.admin.ok("move-objects", json!({"source": "/dyn/a", "target": "/dyn/b"}));
    value(&scene.admin, "/dyn/b/renamed");
    let renamed = json!({"name": "/db/app", "new-name": "/db/renamed"});
    scene.admin.ok("target-update-db", renamed);
    value(&scene.admin, "/dyn/b/renamed");
    assert_eq!(scene.users().len(), 4);
    let all = json!({"name": "/dyn/b/renamed", "revoke-all": true});
    scene.admin.ok("dynamic-secret-tmp-creds-delete", all);
    assert_eq!(scene.users(), [""; 0]);
}

#[test]
fn nothing_moves_away_from_the_users_it_made() {
    let scene = Scene::start();
    let other = Postgres::start("");
    scene.make("/dyn/reads", READS_ONE);
    scene.admin.ok("target-create-db", target("/db/other", other.port));
    value(&scene.admin, "/dyn/reads");
    let (reads, app) = (json!({"name": "/dyn/reads"}), json!({"name": "/db/app"}));
    let moves = [
        ("dynamic-secret-update-postgresql", &reads, "target-name", json!("/db/other")),
        ("target-update-db", &app, "port", json!(other.port.to_string())),
    ];
    for (command, args, field, new) in moves {
        let mut args = args.clone();
        args[field] = new;
        args["pwd"] = PASSWORD.into();
        args["skip-dry-run"] = true.into();
        let said = scene.admin.refused(409, command, args);
        assert!(said.contains("revoke them first"), "{said}");
    }
    // Whatever else changes, changes.
    scene.admin.ok("target-update-db", json!({"name": "/db/app", "description": "new"}));
    let all = json!({"name": "/dyn/reads", "revoke-all": true});
    scene.admin.ok("dynamic-secret-tmp-creds-delete", all.clone());
    assert_eq!(scene.users(), [""; 0]);
    // What is granted is not there; nothing is changed before somebody says that it shall be.
    let mut moved = json!({"name": "/dyn/reads", "target-name": "/db/other"});
    let said = scene.admin.call("dynamic-secret-update-postgresql", moved.clone());
    assert!(said.text().contains("was not changed"), "{}", said.text());
    value(&scene.admin, "/dyn/reads");
    scene.admin.ok("dynamic-secret-tmp-creds-delete", all);
    moved["skip-dry-run"] = true.into();
    scene.admin.ok("dynamic-secret-update-postgresql", moved);
}

#[test]
fn a_change_is_tried_out_before_it_is_one() {
    let scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    let change = |statements: &str| {
        let name = "/dyn/reads";
        json!({"name": name, "creation-statements": statements, "description": "new"})
    };
    let update = "dynamic-secret-update-postgresql";
    let before = scene.admin.ok("dynamic-secret-get", json!({"name": "/dyn/reads"}));
    // One that fails at its second statement leaves neither a change nor a user.
    let broken = READS_ONE.replace("t1", "nowhere");
    let said = scene.admin.call(update, change(&broken));
    assert_eq!(said.status / 100, 4, "{}", said.text());
    for word in ["was not changed", "42P01", "--skip-dry-run"] {
        assert!(said.text().contains(word), "{word}: {}", said.text());
    }
    assert_eq!(scene.admin.ok("dynamic-secret-get", json!({"name": "/dyn/reads"})), before);
    assert_eq!(scene.users(), [""; 0]);
    assert!(leases(&scene.admin, "/dyn/reads").is_empty());
    let reads = value(&scene.admin, "/dyn/reads");
    assert_eq!(scene.sql(&reads, "SELECT x FROM t1").unwrap(), "42");
    // One that works is in force at once, and its trial has left nobody.
    scene.admin.ok(update, change(WRITES_TWO));
    assert_eq!(scene.users().len(), 1);
    let writes = value(&scene.admin, "/dyn/reads");
    scene.sql(&writes, "INSERT INTO t2 VALUES (1)").unwrap();
    scene.sql(&writes, "SELECT x FROM t1").unwrap_err();
    // Whoever says so makes it untried. What changes no setting is not tried.
    let mut untried = change(&broken);
    untried["skip-dry-run"] = true.into();
    scene.admin.ok(update, untried);
    scene.admin.ok(update, json!({"name": "/dyn/reads", "description": "newer"}));
    let said = scene.admin.call("dynamic-secret-get-value", json!({"name": "/dyn/reads"}));
    assert!(!said.is_success());
    assert_eq!(scene.users().len(), 2);
}

#[test]
fn what_has_no_effect_is_refused_and_makes_nothing() {
    let scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    let asked = |field: &str, value: Value| {
        let mut args = json!({"name": "/dyn/reads"});
        args[field] = value;
        args
    };
    for (field, value) in [
        ("host", json!("db.example")),
        ("args", json!(["a=b"])),
        ("dbname", json!("postgres")),
        ("dbname", json!("app; DROP TABLE t1")),
    ] {
        let said = scene.admin.refused(400, "dynamic-secret-get-value", asked(field, value));
        assert!(said.contains(field), "{said}");
    }
    assert_eq!(scene.users(), [""; 0]);
    scene.admin.ok("dynamic-secret-get-value", asked("dbname", json!("app")));
    let nothing = json!({"name": "/dyn/reads", "host": "", "dbname": "", "args": []});
    scene.admin.ok("dynamic-secret-get-value", nothing);
    assert_eq!(scene.users().len(), 2);
}

#[test]
fn what_is_forgotten_while_it_is_made_is_removed_again() {
    let scene = Scene::start();
    let slow = format!("{READS_ONE} SELECT pg_sleep(6)");
    let args = json!({
        "name": "/dyn/slow", "target-name": "/db/app", "creation-statements": slow,
        "skip-dry-run": true,
    });
    scene.admin.ok("dynamic-secret-create-postgresql", args);
    std::thread::scope(|scope| {
        let asked = scope
            .spawn(|| scene.admin.call("dynamic-secret-get-value", json!({"name": "/dyn/slow"})));
        wait_until("the intent", || !leases(&scene.admin, "/dyn/slow").is_empty());
        let forget = json!({"name": "/dyn/slow", "revoke-all": true, "soft-delete": true});
        scene.admin.ok("dynamic-secret-tmp-creds-delete", forget);
        let reply = asked.join().unwrap();
        assert_eq!(reply.status, 409, "{}", reply.text());
    });
    assert_eq!(scene.users(), [""; 0]);
}

#[test]
fn who_may_list_a_target_makes_secrets_with_it_and_never_sees_its_password() {
    let scene = Scene::start();
    let rules =
        [("target-rule", "/db/*", "list"), ("item-rule", "/team/*", "create,read,update,delete")];
    let person = scene.admin.person_who_may("builder", &rules);
    let args = json!({
        "name": "/team/dyn", "target-name": "/db/app", "creation-statements": READS_ONE,
    });
    let made = person.api.ok("dynamic-secret-create-postgresql", args.clone());
    let credentials = value(&person.api, "/team/dyn");
    assert_eq!(scene.sql(&credentials, "SELECT x FROM t1").unwrap(), "42");
    let shown = person.api.ok("dynamic-secret-get", json!({"name": "/team/dyn"}));
    let target = person.api.ok("target-get", json!({"name": "/db/app"}));
    person.api.refused(401, "target-get-details", json!({"name": "/db/app"}));
    for answer in [&made, &shown, &target, &credentials] {
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");
    }
    assert_eq!(shown["postgres_creation_statements"], READS_ONE);
    // Nor by the path that it is stored at.
    for name in ["/.targets/db/app", ".targets/db/app"] {
        for command in ["get-secret-value", "describe-item", "delete-item"] {
            let args = json!({"name": name, "names": [name]});
            let reply = scene.admin.call(command, args);
            assert!(!reply.is_success() && !reply.text().contains(PASSWORD), "{}", reply.text());
        }
    }
    // And nobody who may not even list it uses it.
    let stranger = scene.admin.person_who_may("stranger", &rules[1..]);
    let named = json!({
        "name": "/team/other", "target-name": "/db/app", "creation-statements": READS_ONE,
    });
    let said = stranger.api.refused(401, "dynamic-secret-create-postgresql", named);
    assert!(said.contains("/db/app"), "{said}");
    let details = scene.admin.ok("target-get-details", json!({"name": "/db/app"}));
    assert_eq!(details["value"]["db_target_details"]["db_pwd"], PASSWORD);
}

#[test]
fn a_changed_target_reaches_every_secret_that_uses_it() {
    let scene = Scene::start();
    scene.make("/dyn/one", READS_ONE);
    scene.make("/dyn/two", READS_ONE);
    scene.database.sql("app", "ALTER ROLE postgres PASSWORD 'another'");
    // The test itself signs in with the old one otherwise.
    scene.database.sql_as(("postgres", "another"), "app", "SELECT 1").unwrap();
    let refused = scene.admin.call("dynamic-secret-get-value", json!({"name": "/dyn/one"}));
    assert!(!refused.is_success());
    assert!(!refused.text().contains(PASSWORD), "{}", refused.text());
    scene.admin.ok("target-update-db", json!({"name": "/db/app", "pwd": "another"}));
    for name in ["/dyn/one", "/dyn/two"] {
        let credentials = value(&scene.admin, name);
        assert_eq!(scene.sql(&credentials, "SELECT x FROM t1").unwrap(), "42");
    }
    let said = scene.admin.refused(409, "target-delete", json!({"name": "/db/app"}));
    assert!(said.contains("used by items"), "{said}");
}

#[test]
fn a_secret_that_cannot_make_credentials_does_not_stay() {
    let scene = Scene::start();
    let mut wrong = target("/db/wrong", scene.database.port);
    wrong["pwd"] = "not the password".into();
    scene.admin.ok("target-create-db", wrong);
    for (name, target, statements) in [
        ("/dyn/wrong", "/db/wrong", READS_ONE),
        (
            "/dyn/nothing",
            "/db/app",
            "CREATE ROLE \"{{name}}\"; GRANT SELECT ON none TO \"{{name}}\"",
        ),
    ] {
        let args = json!({
            "name": name, "target-name": target, "creation-statements": statements,
        });
        let reply = scene.admin.call("dynamic-secret-create-postgresql", args.clone());
        assert!(!reply.is_success() && !reply.text().contains("password\""), "{}", reply.text());
        scene.admin.refused(404, "describe-item", json!({"name": name}));
        let mut untried = args;
        untried["skip-dry-run"] = true.into();
        scene.admin.ok("dynamic-secret-create-postgresql", untried);
    }
    wait_until("nothing to be left", || scene.users().is_empty());
}

/// Every user on the database is one that a credential stands for, and every credential ends.
#[test]
fn no_user_is_forgotten_whoever_is_killed() {
    let mut scene = Scene::start();
    scene.make("/dyn/reads", READS_ONE);
    let token = scene.admin.token().to_owned();
    let mut given = Vec::new();
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let answers = scene.served_until_killed(round);
        if round % 3 == 2 {
            scene.database.run("");
        } else {
            // What was killed keeps its locks until it is gone.
            scene.server.process.end();
            scene.server = scene.site.start();
            scene.admin = scene.server.admin().with_token(&token);
        }
        // What was given lives.
        for credentials in &answers {
            assert_eq!(scene.sql(credentials, "SELECT x FROM t1").unwrap(), "42");
        }
        given.extend(answers);
        // And whoever is there, is known.
        let known: Vec<_> = leases(&scene.admin, "/dyn/reads");
        let users = scene.users();
        for user in &users {
            let lease = id_in(user);
            let knows = |known: &Value| known["id"].as_str().unwrap().starts_with(&lease);
            assert!(known.iter().any(knows), "nobody knows of {user}");
        }
        for credentials in &given {
            assert!(known.iter().any(|lease| lease["id"] == credentials["id"]), "{credentials}");
            assert!(users.iter().any(|user| credentials["user"] == **user), "{credentials}");
        }
        if round % TAKEN_BACK_AFTER == TAKEN_BACK_AFTER - 1 {
            scene.take_back(&given);
            given.clear();
        }
    }
    // What was begun when somebody was killed is gone when its time is over, and so is the rest.
    let all = json!({"name": "/dyn/reads", "revoke-all": true});
    let clock = scene.restart_with_clock();
    let admin = scene.server.admin().with_token(&token);
    admin.ok("dynamic-secret-tmp-creds-delete", all);
    clock.set(INTENT_SECONDS);
    wait_until("all users to be gone", || scene.users().is_empty());
    // What nobody confirmed is looked for a second time, ten minutes later.
    let begun = std::time::Instant::now();
    wait_until("all credentials to be gone", || {
        // The caller's token lives for an hour.
        let more = i64::try_from(begun.elapsed().as_secs()).unwrap() * 100;
        clock.set(INTENT_SECONDS + more.min(1_300));
        leases(&admin, "/dyn/reads").is_empty()
    });
}
