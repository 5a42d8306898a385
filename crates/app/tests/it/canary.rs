//! A planted value is found nowhere but in the answers to those who may read it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::first_start::everything_in;
use crate::kit::{Api, Needles, Site, finish, keysherd, random};

#[test]
fn the_search_finds_every_form() {
    let secret = format!("canary{:016x}tail", random());
    let needles = Needles::of("x", secret.as_bytes());
    assert_eq!(needles.found_in(b"nothing of the kind"), Vec::<&str>::new());
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{secret}!");
        for hidden in [
            text.clone().into_bytes(),
            STANDARD.encode(&text).into_bytes(),
            hex::encode(&text).into_bytes(),
            text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            json!({ "v": text }).to_string().into_bytes(),
        ] {
            assert!(!needles.found_in(&hidden).is_empty(), "{hidden:?}");
        }
    }
}

/// Does everything with the value that can be done with one.
fn use_everywhere(admin: &Api, canary: &str) {
    let again = format!("{canary} again");
    admin.store("/team/db", canary);
    assert_eq!(admin.read("/team/db"), canary);
    admin.add_version("/team/db", &again);
    admin.ok("rollback-secret", json!({"name": "/team/db", "old-version": 1}));
    assert_eq!(admin.read("/team/db"), canary);
    admin.ok("get-secret-value", json!({"names": ["/team/db"], "version": -5}));
    let login = json!({
        "name": "/team/login", "type": "password", "username": canary, "password": again,
        "custom-field": {"pin": canary},
    });
    admin.ok("create-secret", login);
    let value = json!({ "k": canary }).to_string();
    admin.ok("create-secret", json!({"name": "/team/kv", "format": "key-value", "value": value}));
    admin.ok("get-secret-value", json!({"names": ["/team/kv", "/team/login"], "json": true}));
    for algorithm in ["AES256GCM", "AES256SIV", "AES128CBC"] {
        let key = format!("/team/{algorithm}");
        admin.ok("create-dfc-key", json!({"name": key, "alg": algorithm}));
        let context = json!({"iv": STANDARD.encode([9; 16]), "purpose": "public"});
        let args = json!({"key-name": key, "plaintext": canary, "encryption-context": context});
        let sealed = admin.ok("encrypt", args)["result"].take();
        let args = json!({"key-name": key, "ciphertext": sealed, "encryption-context": context});
        assert_eq!(admin.ok("decrypt", args.clone())["result"], canary);
        let mut wrong = args;
        wrong["encryption-context"]["purpose"] = "other".into();
        admin.call("decrypt", wrong);
    }
    let id = admin.describe("/team/AES256GCM")["item_id"].clone();
    let batch = json!([{"item_id": id, "data": canary}, {"item_id": id, "data": again}]);
    admin.ok("encrypt-batch", batch);
}

/// Calls that are refused while the value is in them.
fn be_refused_everywhere(admin: &Api, canary: &str) {
    let long = canary.repeat(60_000);
    for (command, args) in [
        ("create-secret", json!({"name": "/team/db", "value": canary})),
        ("create-secret", json!({"name": "//", "value": canary})),
        ("create-secret", json!({"name": "/team/x", "value": [canary]})),
        ("create-secret", json!({"name": "/team/x", "value": canary, "format": "json"})),
        ("create-secret", json!({"name": "/team/x", "value": canary, "format": "key-value"})),
        ("create-secret", json!({"name": "/team/x", "value": canary, "type": canary})),
        ("create-secret", json!({"name": "/team/x", "value": long})),
        ("update-secret-val", json!({"name": "/nothing", "value": canary})),
        ("update-secret-val", json!({"name": "/team/db", "value": canary, "last-version": 99})),
        ("encrypt", json!({"key-name": "/nothing", "plaintext": canary})),
        ("encrypt", json!({"key-name": "/team/AES128CBC", "plaintext": canary})),
        (
            "encrypt",
            json!({"key-name": "/team/AES256GCM", "plaintext": canary,
                           "input-format": "base64"}),
        ),
        ("decrypt", json!({"key-name": "/team/AES256GCM", "ciphertext": canary})),
        ("auth", json!({"access-id": "p-abcdefghijkl", "access-key": canary})),
        (
            "auth",
            json!({"access-type": "password", "admin-email": "a@b", "admin-password": canary}),
        ),
        (
            "change-admin-account-password",
            json!({"current-password": canary, "new-password": canary}),
        ),
        ("static-creds-auth", json!({ "creds": canary })),
    ] {
        let reply = admin.call(command, args);
        assert!(!reply.is_success(), "{command}: {}", reply.text());
        assert!(!reply.text().contains(canary), "{command}: {}", reply.text());
    }
    let broken = format!(r#"{{"name": "/team/x", "value": "{canary}", oops"#);
    let reply = admin.http().post("/create-secret", &[], broken.as_bytes());
    assert!(reply.status == 400 && !reply.text().contains(canary), "{}", reply.text());
    let bearer = format!("Bearer t-{canary}");
    admin.http().post("/get-account-settings", &[("Authorization", &bearer)], b"{}");
}

#[test]
fn a_value_is_in_no_store_no_log_and_no_record() {
    let site = Site::new();
    let mut command = site.server(&site.data());
    command.env("KEYSHERD_LOG", "trace");
    let server = site.launch(command).ready();
    let admin = server.admin();
    let canary = format!("canary{:016x}tail", random());
    let visible = format!("visible{:016x}tail", random());
    use_everywhere(&admin, &canary);
    be_refused_everywhere(&admin, &canary);
    let password = fs::read_to_string(&server.bootstrap.owner_password_file).unwrap();
    let login = json!({
        "access-type": "password",
        "admin-email": server.bootstrap.owner_email,
        "admin-password": password.trim_end(),
    });
    let owner = server.nobody().ok("auth", login)["token"].as_str().unwrap().to_owned();
    let person = admin.new_person("/team/person");
    admin.ok("update-item", json!({"name": "/team/db", "description": visible}));

    let keys = [&server.bootstrap.access_key, &person.access_key];
    let mut needles = Needles::of("the value", canary.as_bytes())
        .and(Needles::of("the owner's password", password.trim_end().as_bytes()))
        .and(Needles::of("the owner's token", owner.as_bytes()))
        .and(Needles::of("a token", person.api.token().as_bytes()));
    for key in keys {
        let seed = STANDARD.decode(key).unwrap();
        needles = needles.and(Needles::of("an access key", key.as_bytes()));
        needles = needles.and(Needles::of("the seed of an access key", &seed));
    }
    let listed = site.audit(&["list", "--json", "--limit", "100000"]).expect(0);
    let text = site.audit(&["list", "--limit", "100000"]).expect(0);
    assert!(listed.out.lines().count() > 20 && text.out.contains("/team/db"));
    for (what, said) in [("JSON", listed.out), ("text", text.out), ("errors", listed.err)] {
        assert_eq!(needles.found_in(said.as_bytes()), Vec::<&str>::new(), "in records as {what}");
    }
    let log = server.process.err();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "the log is not on: {log:.2000}");
    for said in [log, server.process.out()] {
        assert_eq!(needles.found_in(said.as_bytes()), Vec::<&str>::new(), "in what it printed");
    }
    found_only_where_it_belongs(&needles, &site.data());
    server.stop();
    found_only_where_it_belongs(&needles, &site.data());
    // The search looks at the right files, or it would prove nothing.
    let seen = Needles::of("the description", visible.as_bytes()).found_below(&site.data());
    assert!(seen.iter().any(|place| place.contains("control")), "{seen:?}");
}

fn found_only_where_it_belongs(needles: &Needles, data: &Path) {
    let belongs = |place: &String| {
        (place.contains("access key") && place.ends_with("/bootstrap.json"))
            || (place.contains("the owner's password") && place.ends_with("/owner-password"))
    };
    let found: Vec<_> = needles.found_below(data).into_iter().filter(|p| !belongs(p)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_command_line_says_no_secret() {
    let site = Site::new();
    let server = site.start();
    let canary = format!("canary{:016x}tail", random());
    let file = site.data().join("bootstrap.json").display().to_string();
    let configured = site.run(&["configure", "--from-bootstrap", &file]).expect(0);
    let mut said = configured.out + &configured.err;
    for args in [
        &["--debug", "create-secret", "--name", "/team/db", "--value-stdin"][..],
        &["--debug", "create-secret", "--name", "/team/db", "--value-stdin"],
        &["create-secret", "--name", "/team/json", "--format", "json", "--value-stdin"],
    ] {
        let mut command = keysherd(&site.home());
        let ended = finish(command.args(args), canary.as_bytes());
        said = said + &ended.out + &ended.err;
    }
    assert!(said.contains("AlreadyExists") && said.contains("POST"), "{said}");
    let mut needles = Needles::of("the value", canary.as_bytes());
    needles = needles.and(Needles::of("a key", server.bootstrap.access_key.as_bytes()));
    assert_eq!(needles.found_in(said.as_bytes()), Vec::<&str>::new(), "{said}");
    // Its own files have the key and a token, and nobody else may read them.
    let kept = Needles::of("the value", canary.as_bytes()).found_below(&site.home());
    assert_eq!(kept, Vec::<String>::new());
    for path in everything_in(&site.home().join(".config/keysherd")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
    }
}
