//! Rotated secrets as people use them, on real servers: passwords that change on the server and in
//! the store, or in neither, whoever is killed.

pub(crate) mod accounts;

use serde_json::{Value, json};

use self::accounts::{Accounts, FIRST, Redis, USER, mysql, postgres};
use crate::kit::mysql::Product;
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

/// No other rotated secret has whom the target signs in, with whatever command.
fn the_targets_own_are_refused(admin: &Api) {
    let own = json!({
        "name": "/rot/admin", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": "postgres", "rotated-password": PASSWORD,
    });
    let said = admin.refused(400, "rotated-secret-create-postgresql", own);
    assert!(said.contains("rotator-type"), "{said}");
    // Nor does another one become it.
    for command in
        ["rotated-secret-update-postgresql", "update-rotated-secret", "gateway-update-item"]
    {
        let mut becomes = json!({
            "name": "/rot/app", "rotated-username": "postgres", "rotated-password": PASSWORD,
        });
        if command == "gateway-update-item" {
            becomes["type"] = "rotated-secret".into();
        }
        let said = admin.refused(400, command, becomes);
        assert!(said.contains("rotated-username"), "{command}: {said}");
    }
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
    let named = || json!({"name": "/rot/app"});
    assert_eq!(reader.api.ok("rotated-secret-check", named()), named());
    let lister = scene.admin.person_who_may("lister", &[("item-rule", "/rot/*", "list,update")]);
    lister.api.refused(401, "rotated-secret-check", named());
    scene.database.sql("app", "ALTER USER app_user PASSWORD 'by hand'");
    let said = reader.api.refused(409, "rotated-secret-check", named());
    assert!(said.contains("does not let anybody in with the credentials of /rot/app"), "{said}");
    assert!(!said.contains("first"), "{said}");
    let refused = scene.admin.call("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert!(!refused.is_success() && refused.text().contains("28P01"), "{}", refused.text());
    assert_eq!(password(&reader.api, "/rot/app"), "first");
    let listed = scene.admin.ok("rotated-secret-list", json!({}));
    let failure = listed["producers"][0]["failure_message"].as_str().unwrap();
    assert!(failure.contains("28P01"), "{listed}");
    let known = json!({"name": "/rot/app", "rotated-password": "by hand"});
    scene.admin.ok("rotated-secret-update-postgresql", known);
    reader.api.ok("rotated-secret-check", named());
    scene.admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert!(scene.signs_in("app_user", &password(&reader.api, "/rot/app")));
    // One whose credentials do not sign in is not made.
    let wrong = json!({
        "name": "/rot/wrong", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": "app_user", "rotated-password": "wrong",
    });
    scene.admin.refused(400, "rotated-secret-create-postgresql", wrong);
    the_targets_own_are_refused(&scene.admin);
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
    scene.admin.ok("rotated-secret-check", json!({"name": "/rot/own"}));
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

/// The spelling that says of what type the item is.
fn changes_as_an_item(admin: &Api, name: &str) {
    let change = |of: &str, more: Value| {
        let mut args = json!({
            "name": name, "type": of, "rotator-creds-type": "use-target-creds",
            // As official clients send what nobody gave.
            "rotation-hour": 0, "new-metadata": "default_metadata",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    let shown = || {
        let item = admin.ok("describe-item", json!({ "name": name }));
        let details = &item["item_general_info"]["rotated_secret_details"];
        let [hour, by] = ["rotation_hour", "rotator_creds_type"].map(|name| details[name].clone());
        (item["rotation_interval"].clone(), hour, by, item["item_metadata"].clone())
    };
    let more = json!({"rotation-interval": "5", "rotation-hour": 3});
    let reply = admin.ok("gateway-update-item", change("rotated-secret", more));
    assert_eq!(reply, json!({ "name": name }));
    let before = (json!(5), json!(3), json!("use-target-creds"), json!("changed"));
    assert_eq!(shown(), before);
    admin.ok("gateway-update-item", change("ROTATED_SECRET", json!({})));
    assert_eq!(shown(), before, "what was not given stays");
    let unsaid = json!({"rotator-creds-type": "use-self-creds"});
    admin.ok("gateway-update-item", change("rotated-secret", unsaid.clone()));
    let mut unsaid = unsaid;
    unsaid["name"] = name.into();
    admin.ok("update-rotated-secret", unsaid);
    assert_eq!(shown(), before, "who changes it stays, too");
    for of in ["dynamic-secret", "classic-key", "secret", "rotated"] {
        let wrong = change(of, json!({"rotation-interval": "9"}));
        let said = admin.refused(400, "gateway-update-item", wrong);
        assert!(said.contains("type") && said.contains("rotated-secret"), "{said}");
    }
    let key = json!({"name": "/keys/other", "alg": "AES256GCM"});
    admin.ok("create-dfc-key", key);
    let mut wrong = change("rotated-secret", json!({}));
    wrong["name"] = "/keys/other".into();
    admin.refused(400, "gateway-update-item", wrong);
    assert_eq!(shown(), before);
}

#[test]
fn one_command_makes_and_changes_those_of_all_kinds() {
    let scene = Scene::start();
    let (redis, at) = (Redis::start(), "/db/redis");
    let mut target = redis.target();
    target["name"] = at.into();
    scene.admin.ok("target-create-db", target);
    let older = |name: &str, target: &str, more: Value| {
        let mut args = json!({
            "name": name, "target-name": target, "rotator-type": "password",
            "rotated-username": USER, "rotated-password": FIRST,
            // As official clients of that time have it.
            "authentication-credentials": "use-user-creds", "user-attribute": "cn",
            "aws-region": "us-east-2", "metadata": "said in the older way",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    let first = json!({"rotated-password": "first"});
    scene.admin.ok("create-rotated-secret", older("/rot/one", "/db/app", first));
    let by_target = json!({"rotator-creds-type": "use-target-creds"});
    scene.admin.ok("create-rotated-secret", older("/rot/two", at, by_target));
    let listed = scene.admin.ok("rotated-secret-list", json!({}));
    let types: Vec<_> =
        listed["producers"].as_array().unwrap().iter().map(|p| &p["type"]).collect();
    assert_eq!(types, ["postgresql", "redis"]);
    let listed = scene.admin.ok("gateway-list-rotated-secrets", json!({}));
    let two = &listed["items"][1];
    let details = &two["item_general_info"]["rotated_secret_details"];
    assert_eq!(details["rotator_creds_type"], "use-target-creds", "{two}");
    assert_eq!(two["item_metadata"], "said in the older way");
    scene.admin.ok("gateway-rotate-secret", json!({"name": "/rot/two"}));
    assert!(redis.signs_in(&password(&scene.admin, "/rot/two")) && !redis.signs_in(FIRST));
    let change = json!({
        "name": "/rot/two", "rotation-interval": "7", "auto-rotate": "true",
        "new-metadata": "changed", "rotator-creds-type": "use-target-creds",
    });
    scene.admin.ok("update-rotated-secret", change);
    let shown = scene.admin.ok("describe-item", json!({"name": "/rot/two"}));
    assert_eq!((&shown["rotation_interval"], &shown["auto_rotate"]), (&json!(7), &json!(true)));
    assert_eq!(shown["item_metadata"], "changed");
    changes_as_an_item(&scene.admin, "/rot/two");
    // What no kind can do on that target is refused, and nothing is made.
    let ldap = older("/rot/none", at, json!({"rotator-type": "ldap"}));
    let said = scene.admin.refused(400, "create-rotated-secret", ldap);
    assert!(said.contains("rotator-type") && said.contains("password"), "{said}");
    let grace = older("/rot/none", "/db/app", json!({"grace-rotation": "true"}));
    let said = scene.admin.refused(400, "create-rotated-secret", grace);
    assert!(said.contains("grace-rotation"), "{said}");
    scene.admin.refused(404, "describe-item", json!({"name": "/rot/none"}));
}

#[test]
fn an_old_password_stays_valid_for_its_days_and_ends_then() {
    let redis = Redis::start();
    let site = Site::new();
    site.start().stop();
    let clock = FakeClock::new(&site.data());
    let server = started(&site, &clock);
    let admin = server.admin();
    admin.ok("target-create-db", redis.target());
    let args = json!({
        "name": "/rot/app", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": USER, "rotated-password": FIRST,
        "authentication-credentials": "use-target-creds", "auto-rotate": "true",
        "rotation-interval": "30", "rotation-event-in": ["1"], "max-versions": "1",
        "grace-rotation": "true", "grace-rotation-interval": "2", "grace-rotation-timing": "after",
    });
    admin.ok("rotated-secret-create-redis", args);
    admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    let new = password(&admin, "/rot/app");
    assert!(redis.signs_in(FIRST) && redis.signs_in(&new) && new != FIRST);
    let shown = admin.ok("describe-item", json!({"name": "/rot/app"}));
    let info = &shown["item_general_info"];
    assert_eq!(info["rotated_secret_details"]["grace_rotation_timing"], "after");
    assert_eq!(info["next_rotation_events"], json!([{"seconds_before": DAY}]));
    clock.set(2 * DAY + 60);
    wait_until("the old password to end", || !redis.signs_in(FIRST));
    assert!(redis.signs_in(&new));
    let admin = server.admin();
    assert_eq!(password(&admin, "/rot/app"), new);
    // Two old ones are never there: the last one goes first.
    admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    admin.ok("gateway-rotate-secret", json!({"name": "/rot/app"}));
    assert!(!redis.signs_in(&new) && redis.signs_in(&password(&admin, "/rot/app")));
}

#[test]
fn no_account_is_left_with_a_password_that_does_not_sign_in() {
    killed_in_between(&postgres());
}

#[test]
fn nor_is_one_of_mariadb_or_mysql() {
    for product in Product::all() {
        killed_in_between(&mysql(*product));
    }
}

#[test]
fn nor_is_one_of_redis() {
    killed_in_between(&Redis::start());
}

/// As long as the server runs, what is stored is what the target takes.
fn killed_in_between(accounts: &(dyn Accounts + Sync)) {
    let site = Site::new();
    // The clock is kept where the server keeps its data.
    site.start().stop();
    let clock = FakeClock::new(&site.data());
    let mut server = started(&site, &clock);
    let mut admin = server.admin();
    admin.ok("target-create-db", accounts.target());
    let args = json!({
        "name": "/rot/app", "target-name": "/db/app", "rotator-type": "password",
        "rotated-username": USER, "rotated-password": FIRST,
        "authentication-credentials": "use-target-creds",
    });
    admin.ok(&format!("rotated-secret-create-{}", accounts.kind()), args);
    let mut ahead = 0;
    for round in 0..rounds(if in_full() { ROUNDS_IN_FULL } else { ROUNDS }) {
        let before = password(&admin, "/rot/app");
        std::thread::scope(|scope| {
            let api = &admin;
            let rotate = || {
                let args = json!({"name": "/rot/app"});
                while api.try_call("gateway-rotate-secret", args.clone()).is_ok() {}
            };
            scope.spawn(rotate);
            // In the middle of this one, or of one that comes right after it.
            wait_until("a password to be set", || !accounts.signs_in(&before));
            server.process.end();
        });
        ahead += QUIET_SECONDS;
        server = started(&site, &clock);
        clock.set(ahead);
        admin = server.admin();
        wait_until("what is stored to sign in", || {
            accounts.signs_in(&password(&admin, "/rot/app"))
        });
        let after = password(&admin, "/rot/app");
        assert_ne!(before, after, "round {round}");
        wait_until("somebody who can rotate it again", || {
            ahead += 10;
            clock.set(ahead);
            let args = json!({"name": "/rot/app"});
            server.admin().call("gateway-rotate-secret", args).is_success()
        });
        admin = server.admin();
        assert!(accounts.signs_in(&password(&admin, "/rot/app")), "{round}");
        assert!(!accounts.signs_in(&after));
    }
}
