//! Rotated secrets as people use them, on a real PostgreSQL: passwords that change on the server
//! and in the store, or in neither, whoever is killed.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::postgres::{PASSWORD, Postgres};
use crate::kit::{Api, FakeClock, Server, Site, in_full, rounds, wait_until};

/// Rounds of killing.
const ROUNDS: u64 = 3;
/// The same in full.
const ROUNDS_IN_FULL: u64 = 12;
/// Seconds after which nobody is at work any more who was killed, and nobody waits for one that
/// might be frozen; and a little more.
const QUIET_SECONDS: i64 = 1_000;
const DAY: i64 = 86_400;

struct Scene {
    site: Site,
    server: Server,
    admin: Api,
    database: Postgres,
    clock: FakeClock,
}

impl Scene {
    fn start() -> Self {
        let database = Postgres::start("");
        database.create("app");
        database.sql("app", "CREATE USER app_user PASSWORD 'first'");
        let site = Site::new();
        // The clock is kept where the server keeps its data.
        site.start().stop();
        let clock = FakeClock::new(&site.data());
        let server = started(&site, &clock);
        let admin = server.admin();
        admin.ok(
            "target-create-db",
            json!({
                "name": "/db/app", "db-type": "postgres", "host": "127.0.0.1",
                "port": database.port.to_string(), "user-name": "postgres", "pwd": PASSWORD,
                "db-name": "app",
            }),
        );
        Self { site, server, admin, database, clock }
    }

    fn make(&self, name: &str, more: Value) {
        let mut args = json!({
            "name": name, "target-name": "/db/app", "rotator-type": "password",
            "rotated-username": "app_user", "rotated-password": "first",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin.ok("rotated-secret-create-postgresql", args);
    }

    fn signs_in(&self, user: &str, password: &str) -> bool {
        self.database.sql_as((user, password), "app", "SELECT 1").is_ok()
    }

    /// Starts the server again after it was killed, later by as much as it takes.
    fn again(&mut self, ahead: i64) {
        self.server = started(&self.site, &self.clock);
        self.clock.set(ahead);
        self.admin = self.server.admin();
    }
}

fn started(site: &Site, clock: &FakeClock) -> Server {
    let mut command = site.server(&site.data());
    command.envs(clock.environment());
    let server = site.launch(command).ready();
    FakeClock::tidy(server.process.pid());
    server
}

fn password(api: &Api, name: &str) -> String {
    let value = api.ok("get-rotated-secret-value", json!({"names": name}));
    value["value"]["password"].as_str().unwrap().to_owned()
}

#[test]
fn a_password_rotates_by_hand_and_comes_back() {
    let scene = Scene::start();
    scene.make("/rot/app", json!({}));
    let rules = [("item-rule", "/rot/*", "read")];
    let reader = scene.admin.person_who_may("reader", &rules);
    let value = reader.api.ok("rotated-secret-get-value", json!({"name": "/rot/app"}));
    assert_eq!(value, json!({"value": {"username": "app_user", "password": "first"}}));
    reader.api.refused(401, "gateway-rotate-secret", json!({"name": "/rot/app"}));
    let done = scene.admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert_eq!(done, json!({"name": "/rot/app"}));
    let second = password(&reader.api, "/rot/app");
    assert!(scene.signs_in("app_user", &second) && !scene.signs_in("app_user", "first"));
    let shown = scene.admin.ok("describe-item", json!({"name": "/rot/app"}));
    let details = &shown["item_general_info"]["rotated_secret_details"];
    let expected = json!({
        "rotator_type": "user-pass-rotator", "rotator_creds_type": "use-user-creds",
        "rotator_status": "RotationSucceeded", "rotation_hour": 14,
        "rotation_interval_min": false, "grace_rotation": false,
    });
    assert_eq!(*details, expected);
    assert_eq!((&shown["auto_rotate"], &shown["rotation_interval"]), (&json!(false), &json!(90)));
    assert!(shown["last_rotation_date"].is_string() && shown["next_rotation_date"].is_null());
    let of = &shown["item_targets_assoc"][0];
    assert_eq!((&of["target_name"], &of["target_type"]), (&json!("/db/app"), &json!("postgres")));
    let old = reader.api.ok("rotated-secret-get-value", json!({"name": "/rot/app", "version": 1}));
    assert_eq!(old["value"]["password"], "first");

    let back = json!({"name": "/rot/app", "old-version": 1});
    scene.admin.ok("rollback-secret", back);
    assert_eq!(password(&reader.api, "/rot/app"), "first");
    assert!(scene.signs_in("app_user", "first") && !scene.signs_in("app_user", &second));

    // Somebody else has changed it: it is said, nothing is lost, and it can be put right.
    scene.database.sql("app", "ALTER USER app_user PASSWORD 'by hand'");
    let refused = scene.admin.call("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert!(!refused.is_success() && refused.text().contains("28P01"), "{}", refused.text());
    assert_eq!(password(&reader.api, "/rot/app"), "first");
    let listed = scene.admin.ok("rotated-secret-list", json!({}));
    let failure = listed["producers"][0]["failure_message"].as_str().unwrap();
    assert!(failure.contains("28P01"), "{listed}");
    let known = json!({"name": "/rot/app", "rotated-password": "by hand"});
    scene.admin.ok("rotated-secret-update-postgresql", known);
    scene.admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert!(scene.signs_in("app_user", &password(&reader.api, "/rot/app")));
    // One whose credentials do not sign in is not made.
    let wrong = json!({
        "name": "/rot/wrong", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": "app_user", "rotated-password": "wrong",
    });
    scene.admin.refused(400, "rotated-secret-create-postgresql", wrong);
    let admin = json!({
        "name": "/rot/admin", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": "postgres", "rotated-password": PASSWORD,
    });
    let said = scene.admin.refused(400, "rotated-secret-create-postgresql", admin);
    assert!(said.contains("rotator-type"), "{said}");
    scene.server.stop();
    scene.site.audit(&["verify"]).expect(0);
}

#[test]
fn passwords_rotate_by_themselves_and_the_targets_own_reaches_everybody() {
    let scene = Scene::start();
    scene.make("/rot/app", json!({"auto-rotate": "true", "rotation-interval": "1"}));
    let own = json!({"rotator-type": "target", "auto-rotate": "true", "rotation-interval": "1"});
    scene.make("/rot/own", own);
    let dynamic = json!({
        "name": "/dyn/reads", "target-name": "/db/app",
        "creation-statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}';",
    });
    scene.admin.ok("dynamic-secret-create-postgresql", dynamic);
    let target = |api: &Api| {
        let value = api.ok("get-rotated-secret-value", json!({"names": "/rot/own"}));
        value["value"]["target_value"]["db_pwd"].as_str().unwrap().to_owned()
    };
    assert_eq!(target(&scene.admin), PASSWORD);
    scene.clock.set(2 * DAY);
    let admin = scene.server.admin();
    wait_until("passwords that have changed", || {
        password(&admin, "/rot/app") != "first" && target(&admin) != PASSWORD
    });
    assert!(scene.signs_in("app_user", &password(&admin, "/rot/app")));
    let own = target(&admin);
    assert!(scene.signs_in("postgres", &own) && !scene.signs_in("postgres", PASSWORD));
    // What is made on the target is made with it.
    let made = admin.ok("dynamic-secret-get-value", json!({"name": "/dyn/reads"}));
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    assert!(scene.signs_in(&text("user"), &text("password")));
}

/// As long as the server runs, what is stored is what the database takes.
#[test]
fn no_account_is_left_with_a_password_that_does_not_sign_in() {
    let mut scene = Scene::start();
    scene.make("/rot/app", json!({}));
    let mut ahead = 0;
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let before = password(&scene.admin, "/rot/app");
        std::thread::scope(|scope| {
            let api = &scene.admin;
            let rotate = || {
                let args = json!({"name": "/rot/app"});
                while api.try_call("gateway-rotate-secret", args.clone()).is_ok() {}
            };
            scope.spawn(rotate);
            // In the middle of this one, or of one that comes right after it.
            wait_until("a password to be set", || !scene.signs_in("app_user", &before));
            scene.server.process.signal(Signal::KILL);
        });
        ahead += QUIET_SECONDS;
        scene.again(ahead);
        wait_until("what is stored to sign in", || {
            scene.signs_in("app_user", &password(&scene.admin, "/rot/app"))
        });
        let after = password(&scene.admin, "/rot/app");
        assert_ne!(before, after, "round {round}");
        wait_until("somebody who can rotate it again", || {
            ahead += 10;
            scene.clock.set(ahead);
            let args = json!({"name": "/rot/app"});
            let rotated = scene.server.admin().call("gateway-rotate-secret", args);
            rotated.is_success()
        });
        scene.admin = scene.server.admin();
        assert!(scene.signs_in("app_user", &password(&scene.admin, "/rot/app")), "{round}");
        assert!(!scene.signs_in("app_user", &after));
    }
}
