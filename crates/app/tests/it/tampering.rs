//! Whoever has the store's files in hand can change them; `audit verify` finds it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;

use crate::first_start::everything_in;
use crate::kit::{Finished, Site, audit, wait_until};

/// A log of about thirty records of a server that was stopped.
fn log() -> Site {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for n in 0..10 {
        admin.store(&format!("/team/{n}"), "v");
        admin.read(&format!("/team/{n}"));
        admin.call("delete-item", json!({"name": "/nothing"}));
    }
    server.stop();
    site.audit(&["verify"]).expect(0);
    site
}

fn copy(from: &Path, to: &Path) {
    for path in everything_in(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        if path.is_dir() {
            DirBuilder::new().mode(0o700).create(&target).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Changes a copy of the store with `sql`; gives what `verify` says about it.
fn after(site: &Site, name: &str, sql: &str) -> (PathBuf, Finished) {
    let data = site.path(name);
    copy(&site.data(), &data);
    let store = Connection::open(data.join("control/store/control.db")).unwrap();
    store.execute_batch(sql).unwrap_or_else(|error| panic!("{name}: {error}"));
    drop(store);
    let verdict = audit(&site.home(), &data, &["verify"]);
    (data, verdict)
}

/// Changes to the log, by what they are.
const CHANGES: &[(&str, &str)] = &[
    (
        "an altered byte of a record",
        "UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), '\"status\":404', \
         '\"status\":200') AS BLOB) WHERE id = (SELECT id FROM audit WHERE CAST(record AS TEXT) \
         LIKE '%\"status\":404%' LIMIT 1)",
    ),
    (
        "an altered byte of the first record",
        "UPDATE audit SET record = CAST(substr(record, 1, length(record) - 2) || x'217d' AS BLOB) \
         WHERE id = (SELECT min(id) FROM audit)",
    ),
    (
        "a record of another type",
        "UPDATE audit SET record = CAST(record AS TEXT) WHERE id = (SELECT max(id) - 4 FROM audit)",
    ),
    (
        "an altered link",
        "UPDATE audit SET link = zeroblob(32) WHERE id = (SELECT max(id) - 5 FROM audit)",
    ),
    ("a removed row", "DELETE FROM audit WHERE id = (SELECT max(id) - 7 FROM audit)"),
    ("the first row removed", "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)"),
    ("the last row removed", "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)"),
    ("a cut tail", "DELETE FROM audit WHERE id > (SELECT max(id) - 10 FROM audit)"),
    (
        "a cut tail with the head set back",
        "DELETE FROM audit WHERE id > (SELECT max(id) - 10 FROM audit); \
         UPDATE audit_heads SET seq = seq - 10, link = \
         (SELECT link FROM audit ORDER BY id DESC LIMIT 1)",
    ),
    (
        "two rows swapped",
        "UPDATE audit SET id = -1 WHERE id = (SELECT max(id) - 3 FROM audit); \
         UPDATE audit SET id = id - 1 WHERE id = (SELECT max(id) - 2 FROM audit); \
         UPDATE audit SET id = (SELECT max(id) - 2 FROM audit) WHERE id = -1",
    ),
    (
        "the records of two rows swapped",
        "CREATE TEMP TABLE two AS SELECT id, record, link FROM audit ORDER BY id LIMIT 2 OFFSET 5; \
         UPDATE audit SET (record, link) = (SELECT record, link FROM two WHERE two.id != audit.id) \
         WHERE id IN (SELECT id FROM two)",
    ),
    (
        "a row written twice",
        "INSERT INTO audit SELECT id + 1, link, record FROM audit ORDER BY id DESC LIMIT 1",
    ),
    ("the head removed", "DELETE FROM audit_heads"),
    ("an altered signature of the head", "UPDATE audit_heads SET signature = zeroblob(64)"),
    ("an altered time of the head", "UPDATE audit_heads SET time = time + 1"),
    ("every record removed", "DELETE FROM audit"),
    ("every record and the head removed", "DELETE FROM audit; DELETE FROM audit_heads"),
    ("the chain of another account", "UPDATE audit_heads SET account = zeroblob(16)"),
];

#[test]
fn every_change_of_the_log_is_found() {
    let site = log();
    let mut missed = Vec::new();
    for (number, (what, sql)) in CHANGES.iter().enumerate() {
        let (_, verdict) = after(&site, &format!("copy-{number}"), sql);
        let said = verdict.out + &verdict.err;
        if verdict.code != 70 || !said.contains("audit chain") {
            missed.push(format!("{what}: {} {said}", verdict.code));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    // A copy that nobody changed is whole, so it was not the copying.
    let (_, verdict) = after(&site, "untouched", "UPDATE audit SET id = id WHERE id < 0");
    verdict.expect(0);
}

#[test]
fn the_verdict_names_the_account_and_the_place() {
    let site = log();
    let sql = "DELETE FROM audit WHERE id = (SELECT min(id) + 11 FROM audit)";
    let (data, verdict) = after(&site, "removed", sql);
    let verdict = verdict.expect(70);
    assert!(verdict.out.contains("acc-") && verdict.out.contains("NOT INTACT"), "{}", verdict.out);
    assert!(verdict.out.contains("12"), "{}", verdict.out);
    let json = audit(&site.home(), &data, &["verify", "--json"]).expect(70).out;
    let json: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(json["ok"], false);
    assert!(json["finding"].as_str().unwrap().contains("12"), "{json}");
}

#[test]
fn a_server_does_not_write_on_after_a_log_that_was_cut() {
    let site = log();
    let sql = "DELETE FROM audit WHERE id > (SELECT max(id) - 10 FROM audit)";
    let (data, _) = after(&site, "cut", sql);
    // Whether it starts and refuses or does not start at all: it must not paper over the cut.
    let mut starting = site.launch(site.server(&data)).in_directory(data.clone());
    wait_until("a start or an end", || {
        !starting.process.runs() || starting.process.out().contains("credentials")
    });
    assert!(starting.process.runs() || starting.process.err().contains("audit"));
    if starting.process.runs() {
        let server = starting.ready();
        let login = json!({
            "access-id": server.bootstrap.access_id,
            "access-key": server.bootstrap.access_key,
        });
        let reply = server.nobody().call("auth", login);
        assert!(reply.status >= 500, "{} {}", reply.status, reply.text());
        assert_eq!(server.http.get("/health").map(|reply| reply.status).unwrap(), 200);
        server.process.kill();
    }
    audit(&site.home(), &data, &["verify"]).expect(70);
}

#[test]
fn a_swapped_ciphertext_does_not_open() {
    let site = log();
    let sql = "CREATE TEMP TABLE two AS SELECT item, ciphertext FROM item_versions \
               WHERE item IN (SELECT id FROM items ORDER BY path LIMIT 2); \
               UPDATE item_versions SET ciphertext = (SELECT ciphertext FROM two \
               WHERE two.item != item_versions.item) WHERE item IN (SELECT item FROM two)";
    let (data, verdict) = after(&site, "swapped", sql);
    verdict.expect(0);
    let server = site.launch(site.server(&data)).in_directory(data).ready();
    let admin = server.admin();
    for name in ["/team/0", "/team/1"] {
        let text = admin.refused(500, "get-secret-value", json!({"names": [name]}));
        assert!(!text.contains("\"v\""), "{text}");
    }
    // Others are not affected.
    assert_eq!(admin.read("/team/2"), "v");
}

/// What `verify` printed of the head of the one account.
fn head(verdict: &Finished) -> &str {
    verdict.out.trim().rsplit_once("; head ").unwrap().1
}

#[test]
fn an_older_copy_of_everything_shows_against_a_remembered_head() {
    let site = log();
    let older = site.path("older");
    copy(&site.data(), &older);
    let server = site.start();
    server.admin().store("/team/later", "v");
    server.stop();
    let verify = |data: &Path, args: &[&str]| audit(&site.home(), data, args);
    let now = verify(&site.data(), &["verify"]).expect(0);
    let before = verify(&older, &["verify"]).expect(0);
    // The older copy is whole in itself.
    verify(&older, &["verify", "--head", head(&before)]).expect(0);
    let verdict = verify(&older, &["verify", "--head", head(&now)]).expect(70);
    assert!(verdict.out.contains("which was remembered, is missing"), "{}", verdict.out);
    // The chain of today leads through both.
    verify(&site.data(), &["verify", "--head", head(&before), "--head", head(&now)]).expect(0);
    // The older copy goes on without what happened since.
    let command = site.server(&older);
    let server = site.launch(command).in_directory(older.clone()).ready();
    for _ in 0..4 {
        server.admin().store("/team/other", "v");
        server.admin().call("delete-item", json!({"name": "/team/other"}));
    }
    server.stop();
    let verdict = verify(&older, &["verify", "--json", "--head", head(&now)]).expect(70);
    assert!(verdict.out.contains("is not the one that was remembered"), "{}", verdict.out);
    let other = head(&now).replacen("acc-", "acc-0", 1);
    verify(&older, &["verify", "--head", &other]).expect(64);
    let foreign = format!("acc-{}{}", "0".repeat(32), &head(&now)[36..]);
    let verdict = verify(&older, &["verify", "--head", &foreign]).expect(70);
    assert!(verdict.err.contains("there is no audit chain of --head"), "{}", verdict.err);
}
