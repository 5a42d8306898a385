//! A second implementation, in another language, opens what the server stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::kit::{
    Finished, Share, Site, documents_in, open_document, project, question, shares_in,
};

/// All managers' fragments of a stopped server.
fn shares_of(site: &Site) -> Vec<Share> {
    let of_manager = |index: u8| {
        let home = site.data().join("managers").join(index.to_string());
        shares_in(&home.join("store/fragments.redb"), &home.join("epoch.key"))
    };
    (1..=3).flat_map(of_manager).collect()
}

fn opened(answer: &Finished) -> Vec<u8> {
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    STANDARD.decode(answer["plaintext"].as_str().unwrap()).unwrap()
}

#[test]
fn a_second_implementation_reproduces_the_vectors() {
    let vectors = project().join("crates/fragments/tests/data/fragment-vectors.json");
    let answer = open_document(&["--vectors", vectors.to_str().unwrap()], b"").expect(0);
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
    let documents = documents_in(&site.data().join("control"), item);
    let newest = documents.last().unwrap();
    for quorum in [&[1, 2][..], &[1, 3], &[2, 3], &[1, 2, 3]] {
        let answer = open_document(&[], &question(newest, &shares, quorum, &[])).expect(0);
        assert_eq!(opened(&answer), b"second", "by managers {quorum:?}");
    }
    // The control: one manager's fragments open nothing, nor do those of two with one changed bit.
    for alone in [&[1][..], &[2], &[3]] {
        let answer = open_document(&[], &question(newest, &shares, alone, &[])).expect(1);
        assert!(answer.err.contains("fewer than 2 shares"), "{}", answer.err);
    }
    let mut lying = shares.clone();
    for share in &mut lying {
        let x = share.value["x"].as_str().unwrap();
        let flipped = if x.starts_with('0') { "1" } else { "0" };
        share.value["x"] = format!("{flipped}{}", &x[1..]).into();
    }
    let answer = open_document(&[], &question(newest, &lying, &[1, 2], &[])).expect(1);
    assert!(answer.err.contains("does not commit"), "{}", answer.err);
}
