//! Tests of exports: what verifies, and that every change is found.

use keysherd_base::Uid;

use super::*;
use crate::chain::link;
use crate::record::tests::sample_record;
use crate::verify::tests::{toy_hash, toy_sign};
use crate::{HEAD_LABEL, NO_LINK};

const ACCOUNT: AccountId = AccountId(Uid([1; 16]));

fn signed(label: &str, body: &[u8]) -> [u8; 64] {
    toy_sign(&[label.as_bytes(), body].concat())
}

fn genuine(label: &str, body: &[u8], signature: &[u8; 64]) -> bool {
    signed(label, body) == *signature
}

/// An export of records 1 to `count`, as control makes it.
fn export(count: u64, chained: bool) -> Vec<String> {
    let filter =
        Filter { action: (!chained).then(|| "get_secret_value".into()), ..Filter::default() };
    let scope = if chained { "all" } else { "own" }.to_owned();
    let previous = chained.then_some(NO_LINK);
    let header = ExportHeader { account: ACCOUNT, scope, filter, after: 0, previous };
    let mut lines = vec![header.line()];
    let mut last = NO_LINK;
    for seq in 1..=count {
        let bytes = sample_record(seq).encode();
        last = link(toy_hash, &last, seq, &bytes);
        let text = String::from_utf8(bytes).unwrap();
        lines.push(export_line(&text, chained.then_some(&last)));
    }
    let digest = |digest, line: &String| export_digest(toy_hash, &digest, line);
    let digest = lines.iter().fold(NO_DIGEST, digest);
    let time = Timestamp(5);
    let seal = ExportSeal { account: ACCOUNT, records: count, digest, time };
    let head = Head { account: ACCOUNT, seq: count, link: last, time };
    let head = head.sign(|body| signed(HEAD_LABEL, body));
    let signature = signed(EXPORT_LABEL, &seal.signed_body());
    lines.push(seal.line(&signature, chained.then_some(&head)));
    lines
}

fn read(lines: &[String]) -> Result<ExportVerdict, BadExport> {
    read_remembering(lines, Vec::new())
}

fn read_remembering(
    lines: &[String],
    remembered: Vec<(u64, Link)>,
) -> Result<ExportVerdict, BadExport> {
    let mut reader = ExportReader::new(toy_hash, remembered);
    lines.iter().try_for_each(|line| reader.push(line))?;
    reader.finish(genuine)
}

#[test]
fn genuine_exports_verify() {
    for (count, chained) in [(0, false), (3, false), (3, true)] {
        let verdict = read(&export(count, chained)).unwrap();
        assert_eq!(
            (verdict.records, verdict.last, verdict.head.is_some()),
            (count, count, chained)
        );
    }
}

#[test]
fn no_line_can_be_removed_added_moved_or_changed() {
    for chained in [false, true] {
        let good = export(4, chained);
        for at in 0..good.len() {
            let mut lines = good.clone();
            let line = lines.remove(at);
            read(&lines).unwrap_err();
            lines.insert((at + 1) % good.len(), line.clone());
            read(&lines).unwrap_err();
            let mut twice = good.clone();
            twice.insert(at, line.clone());
            read(&twice).unwrap_err();
            for (from, to) in [("alice", "mary "), ("200", "201"), ("1", "2"), (":", ": ")] {
                let mut lines = good.clone();
                lines[at] = line.replacen(from, to, 1);
                if lines[at] != line {
                    read(&lines).unwrap_err();
                }
            }
        }
        read(&[]).unwrap_err();
    }
}

#[test]
fn what_another_key_signed_is_refused() {
    let lines = export(2, true);
    let mut reader = ExportReader::new(toy_hash, Vec::new());
    lines.iter().try_for_each(|line| reader.push(line)).unwrap();
    assert!(reader.finish(|_, _, _| false).unwrap_err().to_string().contains("not by this key"));
}

#[test]
fn a_remembered_record_must_be_there_and_the_same() {
    let lines = export(3, true);
    let first: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    let link: Link = bytes(first["link"].as_str().unwrap()).unwrap();
    read_remembering(&lines, vec![(1, link)]).unwrap();
    read_remembering(&lines, vec![(1, [7; 32])]).unwrap_err();
    read_remembering(&lines, vec![(4, link)]).unwrap_err();
}
