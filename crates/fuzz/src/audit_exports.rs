//! Exports of the audit log, and the index of its segments.

use keysherd_audit::{
    Brief, EXPORT_LABEL, ExportHeader, ExportReader, ExportSeal, Filter, NO_DIGEST, SEGMENT_LEN,
    Segment, SegmentBuilder, export_digest, export_line, terms_of,
};
use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;

use crate::audit_records::record;
use crate::input::Input;

const ACCOUNT: AccountId = AccountId(Uid([9; 16]));
const SIGNATURE: [u8; 64] = [6; 64];

/// Reads the bytes as an export and as a segment, and makes an export of them that somebody who
/// cannot sign changes: only the untouched one verifies.
pub fn audit_exports(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert!(!verifies(&lines, &[0; 64]), "nobody signed it");
    }
    if let Some(segment) = Segment::read(data) {
        for term in segment.terms().into_iter().take(16) {
            let places = segment.places(&[term]);
            assert!(places.iter().all(|place| usize::from(*place) < SEGMENT_LEN));
        }
    }
    let mut input = Input::new(data);
    let (lines, body) = export(&mut input);
    assert!(verifies(&lines, &body), "an untouched export");
    let mut changed = lines.clone();
    let at = input.below(changed.len());
    match input.byte() % 3 {
        0 => drop(changed.remove(at)),
        1 => {
            let line = changed[at].clone();
            changed.insert(at, line);
        }
        _ => {
            let to = input.below(changed.len());
            changed.swap(at, to);
        }
    }
    assert_eq!(verifies(&changed, &body), changed == lines, "{changed:?}");
}

fn export(input: &mut Input<'_>) -> (Vec<String>, [u8; 64]) {
    let filter = Filter { action: Some(input.text()), ..Filter::default() };
    let header = ExportHeader {
        account: ACCOUNT,
        scope: "all".to_owned(),
        filter,
        after: 0,
        previous: None,
    };
    let mut lines = vec![header.line()];
    let count = 1 + input.byte() % 4;
    let mut builder = SegmentBuilder::default();
    let mut terms = Vec::new();
    for seq in 1..=u64::from(count) {
        let bytes = record(input, seq).encode();
        terms_of(&Brief::read(&bytes).expect("a record is one"), &mut terms);
        builder.push(0, &terms);
        let text = String::from_utf8(bytes).expect("a record is text");
        lines.push(export_line(&text, None));
    }
    let bytes = builder.finish().expect("few terms");
    let segment = Segment::read(&bytes).expect("what was written is a segment");
    assert_eq!(segment.places(&terms), [0]);
    let digest = lines.iter().fold(NO_DIGEST, |digest, l| export_digest(sha256, &digest, l));
    let (records, time) = (u64::from(count), Timestamp(7));
    let seal = ExportSeal { account: ACCOUNT, records, digest, time };
    lines.push(seal.line(&SIGNATURE, None));
    (lines, seal.signed_body())
}

fn verifies(lines: &[String], signed: &[u8; 64]) -> bool {
    let mut reader = ExportReader::new(sha256, Vec::new());
    lines.iter().try_for_each(|line| reader.push(line)).is_ok()
        && reader
            .finish(|label, body, signature| {
                label == EXPORT_LABEL && body == signed && *signature == SIGNATURE
            })
            .is_ok()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let counting: Vec<u8> = (0..=255).cycle().take(700).collect();
    let (lines, _) = export(&mut Input::new(&counting));
    let mut builder = SegmentBuilder::default();
    (0..200).for_each(|place| builder.push(place, &[1, u32::from(place) << 20]));
    let segment = builder.finish().unwrap_or_default();
    vec![counting, Vec::new(), lines.join("\n").into_bytes(), segment]
}
