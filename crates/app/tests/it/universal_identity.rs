//! Universal identity through the API and the command line: rotation that survives the death of
//! whoever takes part in it, and what other machines see of a revocation.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Api, Cluster, Http, Server, Site, finish, keysherd, random, wait_until};

/// Kills of the server, and of the rotator.
const ROUNDS: usize = 8;
/// Most levels of a tree.
const LEVELS: usize = 200;

/// A method of universal identity whose bearers may read `/team/*`; gives its root token.
fn root_of(admin: &Api, method: &str) -> String {
    let args = json!({"name": method, "ttl": 30, "uid-expiration-event-at": ["80", "95"]});
    admin.ok("auth-method-create-universal-identity", args);
    admin.new_role(method, &[("item-rule", "/team/*", "read")]);
    admin.ok("assoc-role-am", json!({"role-name": method, "am-name": method}));
    let made = admin.ok("uid-generate-token", json!({"auth-method-name": method}));
    text(&made, "token")
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn rotate(api: &Api, token: &str) -> Option<String> {
    let reply = api.call("uid-rotate-token", json!({"uid-token": token}));
    reply.is_success().then(|| text(&reply.json(), "token"))
}

/// Whether the token is accepted as `uid-token`.
fn lets_in(api: &Api, token: &str) -> bool {
    api.call("describe-sub-claims", json!({"uid-token": token})).is_success()
}

#[test]
fn a_tree_lives_through_the_api() {
    let site = Site::new();
    let server = site.start();
    let (admin, nobody) = (server.admin(), server.nobody());
    admin.store("/team/db", "a value");
    let root = root_of(&admin, "/machines");
    let shown = admin.ok("auth-method-get", json!({"name": "/machines"}));
    assert_eq!(shown["access_info"]["rules_type"], "universal_identity");
    assert_eq!(shown["access_info"]["universal_identity_access_rules"]["ttl"], 30);
    for place in [&shown, &shown["access_info"]] {
        let events = json!([{"percent_passed": 80}, {"percent_passed": 95}]);
        assert_eq!(place["uid_expiration_events"], events, "{shown}");
    }
    // The token itself, and what it is exchanged for.
    let read = json!({"names": ["/team/db"], "uid-token": root});
    assert_eq!(nobody.ok("get-secret-value", read)["/team/db"], "a value");
    let login = json!({"access-type": "universal_identity", "uid-token": root});
    let exchanged = nobody.ok("auth", login.clone());
    assert_eq!(nobody.with_token(&text(&exchanged, "token")).read("/team/db"), "a value");
    let mut other = login;
    other["access-id"] = server.bootstrap.access_id.as_str().into();
    nobody.refused(401, "auth", other);
    nobody.refused(400, "auth", json!({"access-type": "universal_identity"}));
    let by_uid = |args: Value| {
        let mut args = args;
        args["uid-token"] = root.as_str().into();
        args
    };
    let child = nobody.ok("uid-create-child-token", by_uid(json!({"child-ttl": 5})));
    let child = text(&child, "token");
    let fork = json!({"uid-token": root, "fork": true});
    let fork = text(&nobody.ok("uid-rotate-token", fork), "token");
    let tree = nobody.ok("uid-list-children", by_uid(json!({})));
    assert_eq!((&tree["number_of_tokens"], &tree["max_depth"]), (&json!(3), &json!(2)));
    assert_eq!(tree["root"]["children"].as_object().unwrap().len(), 2, "{tree}");
    let known = nobody.ok("validate-token", json!({"token": child}));
    assert_eq!((&known["is_valid"], &known["ttl"]), (&json!(true), &json!(5)), "{known}");
    assert!(known["last_rotate"].is_string());
    let revoke = json!({"revoke-token": fork, "revoke-type": "revokeAll"});
    nobody.ok("uid-revoke-token", by_uid(revoke));
    assert!(!lets_in(&nobody, &fork) && lets_in(&nobody, &child));
    // By hand, in two phases.
    let manual = json!({"uid-token": child, "with-manual-ack": true});
    let new = text(&nobody.ok("uid-rotate-token", manual), "token");
    assert!(lets_in(&nobody, &child));
    let ack = json!({"uid-token": child, "send-manual-ack-token": new});
    assert_eq!(text(&nobody.ok("uid-rotate-token", ack), "token"), new);
    assert!(!lets_in(&nobody, &child) && lets_in(&nobody, &new));
    server.stop();
    site.audit(&["verify"]).expect(0);
}

#[test]
fn a_tree_of_the_most_levels_is_shown_whole() {
    let site = Site::new();
    let server = site.start();
    let (admin, nobody) = (server.admin(), server.nobody());
    let file = site.data().join("bootstrap.json").display().to_string();
    site.run(&["configure", "--from-bootstrap", &file]).expect(0);
    let mut token = root_of(&admin, "/machines");
    for _ in 1..LEVELS {
        let made = nobody.ok("uid-create-child-token", json!({"uid-token": token}));
        token = text(&made, "token");
    }
    let deeper = json!({"uid-token": token});
    let refused = nobody.refused(403, "uid-create-child-token", deeper);
    assert!(refused.contains("200"), "{refused}");
    let list = ["uid-list-children", "--auth-method-name", "/machines"];
    for format in [&[][..], &["--output", "json"], &["--output", "table"], &["--json"]] {
        let shown = site.run(&[&list[..], format].concat()).expect(0).out;
        assert_eq!(shown.matches("\"last_rotate\"").count(), LEVELS, "{format:?}: {shown}");
    }
}

#[test]
fn strangers_rotate_nothing() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let root = root_of(&admin, "/machines");
    let nobody = server.nobody();
    nobody.refused(400, "uid-rotate-token", json!({}));
    let cut = &root[..root.len() - 2];
    for bad in [admin.token(), "u-", "u-00", "nonsense", cut, &root.replacen("u-", "t-", 1)] {
        nobody.refused(401, "uid-rotate-token", json!({"uid-token": bad}));
        let ack = json!({"uid-token": root, "send-manual-ack-token": bad});
        nobody.refused(401, "uid-rotate-token", ack);
    }
    assert!(lets_in(&nobody, &root));
}

#[test]
fn no_death_of_the_server_locks_a_client_out_that_retries() {
    let site = Site::new();
    let mut server = site.start();
    let admin_token = server.admin().token().to_owned();
    let mut held = root_of(&server.admin(), "/machines");
    let mut old = Vec::new();
    for round in 0..ROUNDS {
        let (new, seen) = rotate_until_killed(server, held.clone());
        old.extend(seen);
        server = site.start();
        let nobody = server.nobody();
        // What the client has is enough, whatever became of the answer it never got.
        held = rotate(&nobody, &new).unwrap_or_else(|| panic!("locked out in round {round}"));
        assert!(lets_in(&nobody, &held), "round {round}");
        assert!(!lets_in(&nobody, &new), "two values are good in round {round}");
        old.push(new);
    }
    let admin = server.nobody().with_token(&admin_token);
    let tree = admin.ok("uid-list-children", json!({"auth-method-name": "/machines"}));
    assert_eq!(tree["root"]["revoked"], false, "{tree}");
    assert!(lets_in(&server.nobody(), &held));
    assert!(old.iter().all(|value| !lets_in(&server.nobody(), value)));
    server.stop();
    site.audit(&["verify"]).expect(0);
}

/// Rotates until the server is gone; gives the newest value and those before it.
fn rotate_until_killed(server: Server, mut held: String) -> (String, Vec<String>) {
    let api = server.nobody();
    let http = api.http().clone();
    let client = std::thread::spawn(move || {
        let mut old = Vec::new();
        loop {
            let args = json!({"uid-token": held}).to_string();
            let asked = http.connect().and_then(|mut connection| {
                connection.post("/uid-rotate-token", &[], args.as_bytes())
            });
            let Some(reply) = asked.ok().filter(|reply| reply.is_success()) else {
                return (held, old);
            };
            let new = text(&reply.json(), "token");
            old.push(std::mem::replace(&mut held, new));
        }
    });
    std::thread::park_timeout(Duration::from_millis(20 + random() % 150));
    server.process.kill();
    client.join().unwrap()
}

#[test]
fn the_rotator_leaves_a_good_token_wherever_it_is_killed() {
    let site = Site::new();
    let server = site.start();
    let root = root_of(&server.admin(), "/machines");
    let file = site.path("token");
    std::fs::write(&file, &root).unwrap();
    let nobody = server.nobody();
    let mut last = root.clone();
    for round in 0..4 * ROUNDS {
        let mut rotator = rotator(&site, &server, &file);
        let mut child = rotator.args(["--interval", "0s"]).spawn().unwrap();
        wait_until("a rotation", || std::fs::read_to_string(&file).unwrap() != last);
        // Somewhere in the rotations that follow.
        std::thread::park_timeout(Duration::from_micros(random() % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let token = std::fs::read_to_string(&file).unwrap();
        assert!(lets_in(&nobody, &token), "round {round}");
        last = token;
    }
    let outcome = finish(rotator(&site, &server, &file).arg("--once"), b"").expect(0);
    assert!(!outcome.out.contains("u-") && !outcome.err.contains("u-"));
    assert!(lets_in(&nobody, &std::fs::read_to_string(&file).unwrap()));
    let mut left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
    left.retain(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.contains("token") && name != "token" && name != "token.lock"
    });
    assert!(left.is_empty(), "{left:?}");
}

fn rotator(site: &Site, server: &Server, file: &Path) -> std::process::Command {
    let mut command = keysherd(&site.home());
    command.env("KEYSHERD_URL", &server.bootstrap.url);
    command.env("KEYSHERD_CA_FILE", &server.bootstrap.ca_file);
    command.args(["uid-rotator".into(), PathBuf::from("--token-file"), file.to_path_buf()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn the_command_line_speaks_universal_identity() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "a value");
    let root = root_of(&admin, "/machines");
    let run = |args: &[&str]| {
        let mut command = keysherd(&site.home());
        command.env("KEYSHERD_URL", &server.bootstrap.url);
        command.env("KEYSHERD_CA_FILE", &server.bootstrap.ca_file);
        command.env("KEYSHERD_UID_TOKEN", &root);
        finish(command.args(args), b"").expect(0).out
    };
    assert_eq!(run(&["get-secret-value", "--names", "/team/db"]).trim(), "a value");
    let out = run(&["auth", "--access-type", "universal_identity"]);
    assert!(out.contains("t-"), "{out}");
    assert!(run(&["uid-list-children"]).contains("number_of_tokens"));
}

#[test]
fn what_ends_a_token_at_one_gateway_ends_it_at_the_other_before_it_is_answered() {
    let mut cluster = Cluster::start();
    let mut second = cluster.stranger("gateway", "gateway-2", &[]);
    second.start(&cluster.site);
    let spki = second.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    let http = Http::new(&second.address, &second.data.join("tls/ca.pem"));
    wait_until("the second gateway to serve", || {
        http.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    let there = Api::new(std::sync::Arc::new(http));
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    let mut slowest = Duration::ZERO;
    let mut ends = |token: &str, end: &dyn Fn()| {
        let far = there.with_token(token);
        // Twice, so that whatever that gateway keeps is kept.
        wait_until("a read at the second gateway", || far.try_read("/team/db").is_some());
        assert_eq!(far.read("/team/db"), "a value");
        end();
        let ended = Instant::now();
        far.refused(401, "get-secret-value", json!({"names": ["/team/db"]}));
        slowest = slowest.max(ended.elapsed());
    };
    let rights: [(&str, &str, &str); 1] = [("item-rule", "/team/*", "read")];
    let person = admin.person_who_may("/people/revoked", &rights);
    ends(person.api.token(), &|| drop(person.api.ok("revoke-creds", json!({}))));
    let person = admin.person_who_may("/people/deleted", &rights);
    ends(person.api.token(), &|| {
        drop(admin.ok("auth-method-delete", json!({"name": person.method})));
    });
    let person = admin.person_who_may("/people/denied", &rights);
    let rule = json!({"role-name": person.method, "path": "/team/*", "capability": ["deny"]});
    ends(person.api.token(), &|| drop(admin.ok("set-role-rule", rule.clone())));
    let root = root_of(&admin, "/machines");
    let login = json!({"access-type": "universal_identity", "uid-token": root});
    let exchanged = text(&there.ok("auth", login), "token");
    let revoke = json!({"revoke-token": root, "revoke-type": "revokeAll"});
    ends(&exchanged, &|| drop(admin.ok("uid-revoke-token", revoke.clone())));
    let again = admin.ok("uid-generate-token", json!({"auth-method-name": "/machines"}));
    let again = text(&again, "token");
    ends(&again, &|| {
        drop(admin.ok("uid-generate-token", json!({"auth-method-name": "/machines"})));
    });
    println!("the slowest refusal took {slowest:?}");
}
