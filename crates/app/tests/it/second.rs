//! A second implementation, in another language, opens what the server stored.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::{Finished, Share, Site, finish, shares_in};

/// The root of the project.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python(args: &[&str], input: &[u8]) -> Finished {
    let mut command = Command::new("python3");
    // Isolated: nothing but the standard library is there to import.
    command.arg("-IS").arg(project().join("tests/second/open_document.py")).args(args);
    finish(&mut command, input)
}

/// All managers' fragments of a stopped server.
fn shares_of(site: &Site) -> Vec<Share> {
    let of_manager = |index: u8| {
        let home = site.data().join("managers").join(index.to_string());
        shares_in(&home.join("store/fragments.redb"), &home.join("epoch.key"))
    };
    (1..=3).flat_map(of_manager).collect()
}

/// The stored versions of an item's value, oldest first.
fn documents(site: &Site, item: i64) -> Vec<Vec<u8>> {
    let dir = site.data().join("control/store");
    let file = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "db" || kind == "sqlite"))
        .unwrap();
    let db = rusqlite::Connection::open(file).unwrap();
    let text = "SELECT ciphertext FROM item_versions WHERE item = ?1 ORDER BY version";
    let mut statement = db.prepare(text).unwrap();
    let rows = statement.query_map([item], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The question to the script: the document, and the fragments of the managers in `of`.
fn question(document: &[u8], shares: &[Share], of: &[u64]) -> Vec<u8> {
    let of_manager = |share: &&Share| of.contains(&share.value["manager"].as_u64().unwrap());
    let mut keys: Vec<Value> = Vec::new();
    for share in shares.iter().filter(of_manager) {
        let same = |key: &&mut Value| {
            key["key_id"] == share.key_id.as_str() && key["version"] == share.version
        };
        match keys.iter_mut().find(same) {
            Some(key) => key["shares"].as_array_mut().unwrap().push(share.value.clone()),
            None => keys.push(json!({
                "key_id": share.key_id, "version": share.version,
                "threshold": share.threshold, "managers": share.managers,
                "shares": [share.value],
            })),
        }
    }
    json!({ "document": STANDARD.encode(document), "keys": keys }).to_string().into_bytes()
}

fn opened(answer: &Finished) -> Vec<u8> {
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    STANDARD.decode(answer["plaintext"].as_str().unwrap()).unwrap()
}

#[test]
fn a_second_implementation_reproduces_the_vectors() {
    let vectors = project().join("crates/fragments/tests/data/fragment-vectors.json");
    let answer = python(&["--vectors", vectors.to_str().unwrap()], b"").expect(0);
    assert_eq!(answer.out, "8 cases agree\n");
}

#[test]
fn a_second_implementation_opens_what_the_server_stored() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    // Longer than one block of everything on the way.
    let value = format!("correct horse {} battery", "staple ".repeat(40));
    admin.store("/team/db", &value);
    admin.overwrite("/team/db", "second");
    let item = admin.describe("/team/db")["item_id"].as_i64().unwrap();
    server.stop();
    let shares = shares_of(&site);
    let documents = documents(&site, item);
    let newest = documents.last().unwrap();
    for quorum in [&[1, 2][..], &[1, 3], &[2, 3], &[1, 2, 3]] {
        let answer = python(&[], &question(newest, &shares, quorum)).expect(0);
        assert_eq!(opened(&answer), b"second", "by managers {quorum:?}");
    }
    // The control: one manager's fragments open nothing, nor do those of two with one changed bit.
    for alone in [&[1][..], &[2], &[3]] {
        let answer = python(&[], &question(newest, &shares, alone)).expect(1);
        assert!(answer.err.contains("fewer than 2 shares"), "{}", answer.err);
    }
    let mut lying = shares.clone();
    for share in &mut lying {
        let x = share.value["x"].as_str().unwrap();
        let flipped = if x.starts_with('0') { "1" } else { "0" };
        share.value["x"] = format!("{flipped}{}", &x[1..]).into();
    }
    let answer = python(&[], &question(newest, &lying, &[1, 2])).expect(1);
    assert!(answer.err.contains("does not commit"), "{}", answer.err);
}
