//! Exports of the audit log that an auditor verifies without the server and its data directory.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::{Api, Finished, Server, Site, finish, keysherd, records};

/// Exports with the command line into a file.
fn export(site: &Site, server: &Server, api: &Api, args: &[&str]) -> (String, String) {
    let mut command = keysherd(&site.home());
    command.arg("audit-export").args(args).args(["--token", api.token()]);
    command.args(["--gateway-url", &server.url, "--ca-file"]).arg(site.data().join("tls/ca.pem"));
    let ended = finish(&mut command, b"").expect(0);
    (ended.out, ended.err)
}

/// Verifies a file in a place where there is nothing else.
fn verify(site: &Site, text: &str, key: &str, args: &[&str]) -> Finished {
    let file = site.path("export.jsonl");
    fs::write(&file, text).unwrap();
    let nowhere = site.path("nowhere");
    let home: &Path = &nowhere;
    fs::create_dir_all(home).unwrap();
    let mut command = keysherd(home);
    command.args(["audit", "verify-export"]).arg(file).args(["--key", key]).args(args);
    finish(&mut command, b"")
}

#[test]
fn an_export_of_everything_proves_that_nothing_is_missing() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/a", "v");
    let checkpoint = admin.ok("audit-checkpoint", json!({}));
    let (key, head) = (checkpoint["key"].as_str().unwrap(), checkpoint["head"].as_str().unwrap());
    for n in 0..1_300 {
        admin.refused(404, "describe-item", json!({"name": format!("/team/{n}")}));
    }
    let (text, progress) = export(&site, &server, &admin, &[]);
    assert!(progress.contains("1000 audit records so far"), "{progress}");
    assert!(progress.contains("exported and sealed"), "{progress}");
    let ended = verify(&site, &text, key, &["--head", head]).expect(0);
    assert!(ended.out.contains("none of 1 to"), "{}", ended.out);
    let told = verify(&site, &text, key, &["--json"]).expect(0).out;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["ok"], &told["complete"]), (&json!(true), &json!(true)));

    // What the log itself says, line by line.
    let listed = records(&site);
    let mine = listed.iter().filter(|r| r["account_id"] == server.bootstrap.account_id);
    let exported: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|mut line| line.get_mut("record").map(Value::take))
        .collect();
    assert!(exported.len() > 1_300);
    assert!(mine.zip(&exported).all(|(listed, exported)| listed == exported));

    // Whoever changes anything is found out; so is another key.
    let lines: Vec<&str> = text.lines().collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");
    for changed in [
        text.replacen("describe-item", "describe-itex", 1),
        without(700),
        without(lines.len() - 1),
        without(lines.len() - 2),
        text.replacen("\"scope\":\"all\"", "\"scope\":\"own\"", 1),
        format!("{text}{}\n", lines[5]),
    ] {
        let ended = verify(&site, &changed, key, &[]).expect(70);
        assert!(ended.err.contains("NOT INTACT"), "{}", ended.err);
    }
    let other = "00".repeat(32);
    verify(&site, &text, &other, &[]).expect(70);
    let elsewhere = head.replacen(':', ":9", 1);
    verify(&site, &text, key, &["--head", &elsewhere]).expect(70);

    // The operator of control tells the same key, without the server.
    let line = site.audit(&["checkpoint", "--account", &server.bootstrap.account_id]).expect(0).out;
    let told: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(told["key"], *key);
}

#[test]
fn an_export_has_what_its_scope_and_filter_allow() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/a", "v");
    let key = admin.ok("audit-checkpoint", json!({}))["key"].as_str().unwrap().to_owned();
    let person = admin.person_who_may("/people/own", &[("item-rule", "/team/*", "read")]);
    admin.ok("create-role", json!({"name": "/own", "audit-access": "own"}));
    admin.associate("/own", &person);
    person.api.read("/team/a");
    let (text, _) = export(&site, &server, &person.api, &[]);
    let ended = verify(&site, &text, &key, &[]).expect(0);
    assert!(ended.out.contains("a selection"), "{}", ended.out);
    assert!(!text.contains(&server.bootstrap.access_id), "{text}");
    assert!(!text.contains("\"link\""), "links are for whole exports");
    person.api.refused(401, "audit-checkpoint", json!({}));

    let (text, _) = export(&site, &server, &admin, &["--action", "get_secret_value"]);
    verify(&site, &text, &key, &[]).expect(0);
    assert_eq!(text.lines().count(), 3, "{text}");
    // What was not exported before.
    let last = records(&site).len() - 3;
    let (text, _) = export(&site, &server, &admin, &["--after", &last.to_string()]);
    let ended = verify(&site, &text, &key, &[]).expect(0);
    assert!(ended.out.contains(&format!("none of {} to", last + 1)), "{}", ended.out);
    admin.refused(404, "audit-export", json!({"after": 1_000_000}));
    admin.refused(400, "audit-export", json!({"after": -1}));
    person.api.refused(400, "audit-export", json!({"pagination-token": "ap-"}));
}
