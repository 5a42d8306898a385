//! Audit records.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_audit::{Draft, Param, Record, TEXT_BYTES_MAX};
use keysherd_base::{AccessId, AccountId, Fault, FaultKind, Timestamp, Uid};

use crate::input::Input;

/// Parses the bytes as a record, and encodes a record made of them: a record has one encoding, and
/// is one line of text whatever is in its fields.
pub fn audit_records(data: &[u8]) {
    if let Ok(record) = Record::parse(data) {
        assert_eq!(record.encode(), data, "a second encoding");
        check_line(&record);
        assert!(Record::parse(&data[..data.len() - 1]).is_err(), "cut");
        assert!(Record::parse(&[data, b" "].concat()).is_err(), "lengthened");
    }
    let made = record(&mut Input::new(data), 1);
    let bytes = made.encode();
    let again = Record::parse(&bytes).expect("what was encoded is a record");
    assert_eq!(again.encode(), bytes);
    let cut = made.draft.params.iter().any(|param| param.value().is_some_and(is_long));
    assert!(cut || again == made, "{again:?}");
    check_line(&made);
}

fn is_long(text: &str) -> bool {
    text.len() > TEXT_BYTES_MAX
}

fn check_line(record: &Record) {
    let line = record.line();
    let steers = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!line.contains(steers), "{line:?}");
    let head = format!("{} seq_num={} account_id=", record.time, record.seq);
    assert!(line.starts_with(&head), "{line:?}");
    let id = format!(" request_id={}", record.draft.request);
    assert!(line.ends_with(&id), "{line:?}");
}

/// A record with number `seq`, made of fuzzed values.
pub(crate) fn record(input: &mut Input<'_>, seq: u64) -> Record {
    let account = AccountId(Uid([9; 16]));
    let received = Timestamp(i64::from(input.short_number()));
    let command: Arc<str> = input.text().into();
    let mut draft = Draft::new(account, Uid(input.array()), command, "get_item", received);
    draft.unique_id = input.text().into();
    draft.client_type = input.text().into();
    draft.component = input.text().into();
    draft.params = (0..input.below(4)).map(|_| param(input)).collect();
    let claims = (0..input.below(3)).map(|_| (input.text(), vec![input.text(), input.text()]));
    draft.sub_claims = Arc::new(claims.collect());
    draft.access_id = input
        .flag()
        .then(|| AccessId::parse("p-abcdefghijkl").expect("invariant: a well-formed id"));
    draft.client_address = match input.byte() % 3 {
        0 => None,
        1 => Some(IpAddr::from(input.array::<4>())),
        _ => Some(IpAddr::from(input.array::<16>())),
    };
    let fault = Fault::new(FaultKind::NotFound, "no");
    let failed = input.flag();
    Record {
        seq,
        time: Timestamp(i64::from(input.short_number())),
        status: if failed { fault.kind().http_status() } else { 200 },
        error: failed.then(|| fault.code().to_owned().into()),
        duration_us: u64::from(input.short_number()),
        draft,
    }
}

fn param(input: &mut Input<'_>) -> Param {
    match input.byte() {
        0..100 => Param::redacted("value"),
        // Longer than a record keeps.
        250.. => Param::public("name", input.text().repeat(TEXT_BYTES_MAX / 16)),
        _ => Param::public("name", input.text()),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let counting: Vec<u8> = (0..=255).cycle().take(700).collect();
    let of = |bytes: &[u8]| record(&mut Input::new(bytes), 3).encode();
    let bare = br#"{"v":1,"account_id":"acc-01010101010101010101010101010101","seq_num":41,"#;
    vec![of(&[]), of(&[7; 400]), of(&counting), counting.clone(), bare.to_vec()]
}
