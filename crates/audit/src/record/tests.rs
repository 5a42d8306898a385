//! The encoding: its exact bytes, strictness, and cutting.

use super::*;

/// A record with every field filled in.
pub(crate) fn sample_record(seq: u64) -> Record {
    let claims = BTreeMap::from([("email".to_owned(), vec!["alice@example.com".to_owned()])]);
    let mut draft = Draft::new(
        AccountId(Uid([1; 16])),
        Uid([2; 16]),
        "get-secret-value".into(),
        crate::action::GET_SECRET_VALUE,
        Timestamp(1_767_607_871_988),
    )
    .with("item_name", "/a/b");
    draft.params.push(Param::redacted("value"));
    draft.component = "control/items".into();
    draft.access_id = Some(AccessId::parse("p-abcdefghijkl").unwrap());
    draft.unique_id = "alice@example.com".into();
    draft.access_type = "saml2".into();
    draft.sub_claims = Arc::new(claims);
    draft.item_type = "STATIC_SECRET".into();
    draft.client_address = Some("10.0.0.5".parse().unwrap());
    draft.client_type = "sdk".into();
    Record {
        seq,
        time: Timestamp(1_767_607_872_000),
        status: 200,
        error: None,
        duration_us: 12_000,
        draft,
    }
}

#[test]
fn the_encoding_is_exactly_this() {
    let expected = concat!(
        r#"{"v":1,"account_id":"acc-01010101010101010101010101010101","seq_num":41,"#,
        r#""timestamp":1767607872000,"status":200,"duration_us":12000,"received":1767607871988,"#,
        r#""request_id":"02020202020202020202020202020202","command":"get-secret-value","#,
        r#""component":"control/items","action":"get_secret_value","product":"sm","#,
        r#""access_id":"p-abcdefghijkl","access_type":"saml2","unique_id":"alice@example.com","#,
        r#""client_sub_claims":{"email":["alice@example.com"]},"item_type":"STATIC_SECRET","#,
        r#""request_parameters":[["item_name","/a/b"],["value",null]],"#,
        r#""remote_addr":"10.0.0.5","client_type":"sdk"}"#,
    );
    assert_eq!(String::from_utf8(sample_record(41).encode()).unwrap(), expected);
}

#[test]
fn preparing_and_finishing_gives_the_same_bytes_as_encoding() {
    let mut record = sample_record(7);
    let mut bytes = b"left over".to_vec();
    record.draft.prepare().finish(7, record.time, None, &mut bytes);
    assert_eq!(bytes, record.encode());

    let fault = keysherd_base::Fault::forbidden("no").with_code("ForbiddenTypesDeletion");
    record.status = 403;
    record.error = Some("ForbiddenTypesDeletion".into());
    record.draft.prepare().finish(7, record.time, Some(&Failure::from(&fault)), &mut bytes);
    assert_eq!(bytes, record.encode());
}

#[test]
fn a_clock_that_went_back_gives_duration_zero() {
    let record = sample_record(1);
    let mut bytes = Vec::new();
    record.draft.prepare().finish(1, Timestamp(0), None, &mut bytes);
    assert_eq!(Record::parse(&bytes).unwrap().duration_us, 0);
}

#[test]
fn parses_back_what_it_encodes() {
    let full = sample_record(3);
    assert_eq!(Record::parse(&full.encode()).unwrap(), full);
    let draft = Draft::new(
        AccountId::default(),
        Uid([9; 16]),
        "auth".into(),
        crate::action::AUTHENTICATE,
        Timestamp(-5),
    );
    let sparse =
        Record { draft, status: 401, error: Some("UnauthorizedAccess".into()), ..sample_record(4) };
    assert_eq!(Record::parse(&sparse.encode()).unwrap(), sparse);
}

#[test]
fn refuses_every_second_spelling() {
    let text = String::from_utf8(sample_record(3).encode()).unwrap();
    for (from, to) in [
        ("\"v\":1", "\"v\":2"),
        ("\"v\":1", "\"v\": 1"),
        ("\"seq_num\":3", "\"seq_num\":3.0"),
        ("\"seq_num\":3,", "\"seq_num\":3,\"extra\":1,"),
        ("\"status\":200,", "\"status\":200,\"error\":null,"),
        ("acc-0101", "acc-01010"),
        ("02020202020202020202020202020202", "0202"),
        ("p-abcdefghijkl", "x-abcdefghijkl"),
        ("alice", "\\u0061lice"),
        ("10.0.0.5", "10.0.0.500"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is not in the record");
        assert!(Record::parse(changed.as_bytes()).is_err(), "{to} was accepted");
    }
    assert!(Record::parse(b"").is_err());
    assert!(Record::parse(format!("{text} ").as_bytes()).is_err());
}

#[test]
fn long_texts_are_cut_at_a_character_and_stay_canonical() {
    let mut record = sample_record(1);
    record.draft.unique_id = "é".repeat(5_000).into();
    record.draft.params = vec![Param::public("item_name", "x".repeat(TEXT_BYTES_MAX))];
    let bytes = record.encode();
    let back = Record::parse(&bytes).unwrap();
    assert_eq!(back.encode(), bytes);
    assert!(back.draft.unique_id.len() <= TEXT_BYTES_MAX);
    assert!(back.draft.unique_id.ends_with("é…"));
    assert_eq!(back.draft.params, record.draft.params, "a text of the full length is kept");
}

#[test]
fn a_redacted_parameter_has_no_value_to_leak() {
    let param = Param::redacted("password");
    assert_eq!((param.name(), param.value()), ("password", None));
}
