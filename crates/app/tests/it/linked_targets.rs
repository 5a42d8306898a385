//! Linked targets as people use them, on real machines: hosts that share the credentials of another
//! target, and passwords that rotate on all of them, or on those that can be reached.

mod machines;

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use self::machines::{FIRST, Machine, ROOT, USER, possible};
use crate::kit::{Api, FakeClock, Server, Site, wait_until};

/// Rounds of killing.
const ROUNDS: u32 = 3;
/// Seconds after which nobody waits for a gateway any more that might be frozen, and a little more.
const QUIET_SECONDS: i64 = 1_000;

struct Scene {
    site: Site,
    clock: FakeClock,
    server: Server,
    admin: Api,
    machines: [Machine; 2],
}

fn started(site: &Site, clock: &FakeClock) -> Server {
    let mut command = site.server(&site.data());
    command.envs(clock.environment());
    let server = site.launch(command).ready();
    FakeClock::tidy(server.process.pid());
    server
}

impl Scene {
    fn start() -> Option<Self> {
        if !possible() {
            return None;
        }
        let machines = [Machine::start(), Machine::start()];
        let site = Site::new();
        // The clock is kept where the server keeps its data.
        site.start().stop();
        let clock = FakeClock::new(&site.data());
        let server = started(&site, &clock);
        let admin = server.admin();
        let scene = Self { site, clock, server, admin, machines };
        let parent = json!({
            "name": "/ssh/parent", "host": "127.0.0.1", "port": scene.machines[0].port.to_string(),
            "ssh-username": "root", "ssh-password": ROOT,
        });
        scene.admin.ok("target-create-ssh", parent);
        let linked = json!({
            "name": "/ssh/all", "hosts": scene.hosts(), "parent-target-name": "/ssh/parent",
        });
        scene.admin.ok("target-create-linked", linked);
        Some(scene)
    }

    fn hosts(&self) -> String {
        let [first, second] = &self.machines;
        format!("{};the first,{}", first.place(), second.place())
    }

    fn make(&self, more: Value) {
        let mut args = json!({
            "name": "/rot/app", "target-name": "/ssh/all", "rotator-type": "password",
            "rotated-username": USER, "rotated-password": FIRST,
            "authentication-credentials": "use-target-creds",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin.ok("rotated-secret-create-ssh", args);
    }

    fn stored(&self, admin: &Api) -> [String; 2] {
        let value = admin.ok("get-rotated-secret-value", json!({"names": "/rot/app"}));
        let hosts = &value["value"]["linked_hosts"];
        [0, 1].map(|which: usize| {
            let of = &hosts[&self.machines[which].place()];
            assert_eq!(of["username"], USER, "{value}");
            of["password"].as_str().unwrap().to_owned()
        })
    }

    fn sign_in(&self, passwords: &[String; 2]) -> bool {
        self.machines.iter().zip(passwords).all(|(machine, password)| machine.signs_in(password))
    }
}

fn rotate(admin: &Api) -> crate::kit::Reply {
    admin.call("gateway-rotate-secret", json!({"name": "/rot/app"}))
}

fn status(admin: &Api) -> (String, String) {
    let shown = admin.ok("describe-item", json!({"name": "/rot/app"}));
    let details = &shown["item_general_info"]["rotated_secret_details"];
    let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
    (text("rotator_status"), text("last_rotation_error"))
}

#[test]
fn passwords_rotate_on_every_host_and_a_host_that_was_down_follows() {
    let Some(mut scene) = Scene::start() else { return };
    scene.make(json!({}));
    let check = |admin: &Api| admin.call("rotated-secret-check", json!({"name": "/rot/app"}));
    assert!(check(&scene.admin).is_success());
    assert_eq!(scene.stored(&scene.admin), [FIRST, FIRST].map(str::to_owned));
    assert!(rotate(&scene.admin).is_success());
    let second = scene.stored(&scene.admin);
    assert!(second[0] != second[1] && !second.contains(&FIRST.to_owned()));
    assert!(scene.sign_in(&second), "{:?}", status(&scene.admin));
    assert!(!scene.machines.iter().any(|one| one.signs_in(FIRST)));
    assert_eq!(status(&scene.admin), ("RotationSucceeded".to_owned(), String::new()));
    // One host alone.
    let place = scene.machines[1].place();
    let one = json!({"names": "/rot/app", "host": place});
    let one = scene.admin.ok("get-rotated-secret-value", one);
    assert_eq!(one, json!({"value": {"username": USER, "password": second[1]}}));
    for unknown in ["127.0.0.1:1", "127.0.0.1", "other"] {
        let args = json!({"names": "/rot/app", "host": unknown});
        scene.admin.refused(404, "get-rotated-secret-value", args);
    }

    scene.machines[1].stop();
    assert!(check(&scene.admin).is_success(), "one of them could be asked");
    let partly = rotate(&scene.admin);
    assert!(partly.is_success(), "{}", partly.text());
    let third = scene.stored(&scene.admin);
    assert!(third[0] != second[0] && third[1] == second[1], "it keeps what it had");
    assert!(scene.machines[0].signs_in(&third[0]));
    let (outcome, error) = status(&scene.admin);
    assert_eq!(outcome, "RotationPartialSucceeded");
    assert!(error.contains(&place) && !error.contains(&scene.machines[0].place()), "{error}");
    scene.machines[1].up();
    // Ten seconds after it was missed, the host that was behind gets another one by itself.
    wait_until("what is stored to sign in", || scene.sign_in(&scene.stored(&scene.admin)));
    scene.clock.set(60);
    let admin = scene.server.admin();
    wait_until("the host to get another password", || {
        let (outcome, _) = status(&admin);
        outcome == "RotationSucceeded"
    });
    let fourth = scene.stored(&admin);
    assert!(fourth[0] == third[0] && fourth[1] != third[1], "only the one that was behind");
    assert!(scene.sign_in(&fourth));

    // One password for all from now on.
    let same = json!({"name": "/rot/app", "same-password": "true"});
    admin.ok("rotated-secret-update-ssh", same);
    assert!(rotate(&admin).is_success());
    let fifth = scene.stored(&admin);
    let said = status(&admin);
    assert!(fifth[0] == fifth[1] && fifth[0] != fourth[0], "{said:?}: {fourth:?}, {fifth:?}");
    assert!(scene.sign_in(&fifth));

    scene.machines.iter_mut().for_each(Machine::stop);
    assert!(!rotate(&admin).is_success());
    assert_eq!((status(&admin).0.as_str(), scene.stored(&admin)), ("RotationFailed", fifth));
    assert_eq!(check(&admin).status, 503, "none could be asked");
    scene.machines[0].up();
    let wrong = json!({"name": "/rot/app", "rotated-password": "wrong", "skip-dry-run": "true"});
    admin.ok("rotated-secret-update-ssh", wrong);
    let refused = check(&admin);
    let place = scene.machines[0].place();
    assert!(refused.status == 409 && refused.text().contains(&place), "{}", refused.text());
    scene.server.stop();
    scene.site.audit(&["verify"]).expect(0);
}

#[test]
fn a_parent_is_followed_and_not_deleted_from_under_its_hosts() {
    let Some(mut scene) = Scene::start() else { return };
    let admin = &scene.admin;
    let shown = admin.ok("target-get", json!({"name": "/ssh/all"}));
    assert_eq!(shown["target_type"], "linked");
    assert_eq!(shown["parent_target_name"], "/ssh/parent");
    let parent = admin.ok("target-get", json!({"name": "/ssh/parent"}));
    assert_eq!(parent["target_items_assoc"][0]["item_name"], "/ssh/all");
    let details = admin.ok("target-get-details", json!({"name": "/ssh/all"}));
    let [first, second] = [0, 1].map(|which: usize| scene.machines[which].place());
    let hosts = json!({&first: "the first", &second: ""});
    assert_eq!(details["value"], json!({"linked_target_details": {"hosts": hosts}}));
    let listed = admin.ok("target-list", json!({"type": ["linked"]}));
    assert_eq!(listed["targets"].as_array().unwrap().len(), 1, "{listed}");
    assert!(!format!("{shown}{details}{listed}").contains(ROOT));

    // Whoever chooses hosts has the parent's password sent there.
    let rules = [("target-rule", "/ssh/*", "list,create,update")];
    let person = admin.person_who_may("lister", &rules);
    let mine = json!({
        "name": "/ssh/mine", "hosts": "evil.example", "parent-target-name": "/ssh/parent",
    });
    person.api.refused(401, "target-create-linked", mine);
    let more = json!({"name": "/ssh/all", "add-hosts": "evil.example"});
    person.api.refused(401, "target-update-linked", more.clone());
    let renamed = json!({"name": "/ssh/all", "description": "said"});
    person.api.ok("update-linked-target", renamed);

    let said = admin.refused(409, "target-delete", json!({"name": "/ssh/parent"}));
    assert!(said.contains("force-deletion"), "{said}");
    let moved = json!({"name": "/ssh/parent", "new-name": "/ssh/moved"});
    admin.ok("target-update-ssh", moved);
    let shown = admin.ok("target-get", json!({"name": "/ssh/all"}));
    assert_eq!(shown["parent_target_name"], "/ssh/moved");
    scene.make(json!({}));
    assert!(rotate(admin).is_success());
    assert!(scene.sign_in(&scene.stored(admin)));

    // What cannot be is refused and changes nothing.
    for (bad, word) in [
        (json!({"hosts": "a b"}), "hosts"),
        (json!({"type": "windows"}), "type"),
        (json!({"rm-hosts": "other"}), "rm-hosts"),
        (json!({"parent-target-name": "/ssh/all"}), "parent-target-name"),
    ] {
        let mut args = json!({"name": "/ssh/all", "parent-target-name": "/ssh/moved"});
        args.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        let said = admin.refused(400, "target-update-linked", args);
        assert!(said.contains(word), "{said}");
    }
    let wrong = json!({
        "name": "/rot/wrong", "target-name": "/ssh/all", "rotator-type": "password",
        "rotated-username": USER, "rotated-password": "wrong",
    });
    admin.refused(400, "rotated-secret-create-ssh", wrong);
    let dynamic = json!({"name": "/dyn/none", "target-name": "/ssh/all"});
    admin.refused(400, "dynamic-secret-create-postgresql", dynamic);

    // Nobody has anything sent anywhere without the parent.
    let forced = json!({"name": "/ssh/moved", "force-deletion": true});
    admin.ok("target-delete", forced);
    assert!(!rotate(admin).is_success());
    let shown = admin.ok("target-get", json!({"name": "/ssh/all"}));
    assert!(shown["parent_target_name"].is_null());
    scene.machines.iter_mut().for_each(Machine::stop);
}

#[test]
fn a_parents_own_password_changes_on_all_hosts_or_on_none() {
    let Some(mut scene) = Scene::start() else { return };
    let keys = scene.machines.each_ref().map(Machine::fingerprint).join(",");
    let own = json!({
        "name": "/rot/own", "target-name": "/ssh/parent", "rotator-type": "target",
        "host-key": keys,
    });
    scene.admin.ok("rotated-secret-create-ssh", own);
    let password = |scene: &Scene| {
        let value = scene.admin.ok("get-rotated-secret-value", json!({"names": "/rot/own"}));
        value["value"]["target_value"]["password"].as_str().unwrap().to_owned()
    };
    let takes = |scene: &Scene, password: &str| {
        scene.machines.each_ref().map(|one| one.lets_in("root", password))
    };
    let rotate =
        |scene: &Scene| scene.admin.call("gateway-rotate-secret", json!({"name": "/rot/own"}));
    let done = rotate(&scene);
    assert!(done.is_success(), "{}", done.text());
    let second = password(&scene);
    assert_eq!((takes(&scene, ROOT), takes(&scene, &second)), ([false; 2], [true; 2]));
    // What works with the parent works on.
    scene.make(json!({}));
    // One that cannot be reached keeps all of them from changing.
    scene.machines[1].stop();
    let refused = rotate(&scene);
    assert!(!refused.is_success() && refused.text().contains("or on none"), "{}", refused.text());
    assert_eq!(password(&scene), second);
    assert_eq!(takes(&scene, &second), [true, false], "the other one is down");
    scene.machines[1].up();
    assert_eq!(takes(&scene, &second), [true; 2]);
    assert!(rotate(&scene).is_success());
    let third = password(&scene);
    assert!(third != second && takes(&scene, &third) == [true; 2]);
}

#[test]
fn no_host_is_left_with_a_password_that_does_not_sign_in() {
    let Some(mut scene) = Scene::start() else { return };
    scene.make(json!({}));
    let mut ahead = 0;
    for round in 0..ROUNDS {
        let before = scene.stored(&scene.admin);
        let set = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (api, first) = (&scene.admin, &scene.machines[(round % 2) as usize]);
            let set = &set;
            // A busy machine may not answer in time, and nothing was begun then.
            scope.spawn(move || {
                while !set.load(Ordering::Relaxed) {
                    let args = json!({"name": "/rot/app"});
                    let _ = api.try_call("gateway-rotate-secret", args);
                }
            });
            wait_until("a password to be set on one host", || {
                !first.signs_in(&before[(round % 2) as usize])
            });
            set.store(true, Ordering::Relaxed);
            scene.server.process.end();
        });
        ahead += QUIET_SECONDS;
        scene.server = started(&scene.site, &scene.clock);
        scene.clock.set(ahead);
        scene.admin = scene.server.admin();
        wait_until("what is stored to sign in", || scene.sign_in(&scene.stored(&scene.admin)));
        wait_until("the rotation to come to its end", || {
            status(&scene.admin).0 == "RotationSucceeded"
        });
        let after = scene.stored(&scene.admin);
        assert!(scene.sign_in(&after), "round {round}");
        assert!(before[0] != after[0] && before[1] != after[1], "round {round}");
    }
}
