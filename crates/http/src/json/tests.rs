//! Tests of reading JSON bodies.

use keysherd_base::FaultKind;
use keysherd_base::limits::{BATCH_LEN_MAX, JSON_DEPTH_MAX, LIST_LEN_MAX};
use keysherd_wire::{Access, Field, Show};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const FIELDS: &[FieldSpec] = &[
    Field::text("name", "").spec(),
    Field::flag("keep-prev-version", "").spec(),
    Field::list("tags", "").spec(),
    Field::map("custom-field", "").spec(),
];

const fn spec(body: Body) -> Spec {
    Spec {
        name: "toy",
        aliases: &[],
        success: 200,
        summary: "",
        groups: &[],
        fields: FIELDS,
        reply: "object",
        access: Access::Open,
        body,
        show: Show::Json,
    }
}

const OBJECT: Spec = spec(Body::Object);
const ARRAY: Spec = spec(Body::Array);

fn read(body: &str) -> Args {
    parse_body(&OBJECT, body.as_bytes()).unwrap()
}

fn refused(spec: &Spec, body: &[u8]) -> String {
    let fault = parse_body(spec, body).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::BadRequest);
    fault.public().to_owned()
}

#[test]
fn known_fields_are_kept_and_others_skipped() {
    let args = read(r#"{"name":"/a","nope":{"x":[1,2,{"y":null}]},"tags":["a","b"],"x":1e3}"#);
    assert_eq!(args.raw("name"), Some(&json!("/a")));
    assert_eq!(args.raw("tags"), Some(&json!(["a", "b"])));
    assert_eq!(args.names().count(), 2);
}

#[test]
fn dashes_and_underscores_are_one_and_the_last_of_two_wins() {
    let args =
        read(r#"{"keep_prev_version":true,"name":"a","keep-prev_version":"false","name":"b"}"#);
    assert_eq!(args.raw("keep-prev-version"), Some(&json!("false")));
    assert_eq!(args.raw("name"), Some(&json!("b")));
    assert_eq!(read(r#"{"n\u0061me":"c"}"#).raw("name"), Some(&json!("c")));
}

#[test]
fn all_types_of_values_arrive() {
    for value in [
        json!(null),
        json!(true),
        json!(-5),
        json!(18_446_744_073_709_551_615_u64),
        json!(1.5),
        json!("t\u{0}\u{1f600}\"\\"),
        json!({"a": {"b": [1, "c"]}}),
    ] {
        let args = read(&json!({ "name": value }).to_string());
        assert_eq!(args.raw("name"), Some(&value));
    }
}

#[test]
fn nothing_and_null_are_no_arguments() {
    for body in ["", "  \r\n\t", "null", " null ", "{}"] {
        assert_eq!(read(body).names().count(), 0, "{body:?}");
    }
    for body in ["", "null", "[]"] {
        assert!(parse_body(&ARRAY, body.as_bytes()).unwrap().rows().is_empty());
    }
}

#[test]
fn an_array_is_read_row_by_row() {
    let args = parse_body(&ARRAY, br#"[{"name":"a"},{},{"name":"b","z":0}]"#).unwrap();
    let names: Vec<_> = args.rows().iter().map(|row| row.raw("name")).collect();
    assert_eq!(names, [Some(&json!("a")), None, Some(&json!("b"))]);
}

#[test]
fn the_wrong_kind_of_body_is_refused() {
    for body in ["[]", "[{}]", "1", "\"x\"", "true"] {
        let text = refused(&OBJECT, body.as_bytes());
        assert!(text.starts_with("the body must be a JSON object"), "{text}");
    }
    for body in ["{}", "[1]", "[null]", "[[]]", "2.5"] {
        let text = refused(&ARRAY, body.as_bytes());
        assert!(text.starts_with("the body must be a JSON array"), "{text}");
    }
}

#[test]
fn errors_name_the_position_and_never_the_content() {
    for body in [
        r#"{"name":"canary" "x":1}"#,
        r#"{"name":"canary"} canary"#,
        r#"{"name":"canary"}{}"#,
        r#"{"name":"canary"#,
        r#"{"name":canary}"#,
        r#"["canary"]"#,
        r#""canary""#,
        r#"{"name":"canary","tags":1e999}"#,
        r#"{"name":"canary","unknown":-1e999}"#,
        r#"{"name":"canary\ud800"}"#,
        "{\"name\":\"canary\u{1}\"}",
    ] {
        let text = refused(&OBJECT, body.as_bytes());
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("line 1, column"), "{text}");
    }
    let text = refused(&OBJECT, b"{\"name\":\"canary\xff\"}");
    assert_eq!(text, "the body is not UTF-8 (at byte 15)");
    assert!(refused(&OBJECT, b"{\"unknown\":\"\xc3\x28\"}").contains("not UTF-8"));
}

#[test]
fn depth_is_limited_in_known_and_unknown_fields() {
    for field in ["tags", "unknown"] {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!("{{\"{field}\":{open}{close}}}")
        };
        assert!(parse_body(&OBJECT, nested(JSON_DEPTH_MAX - 1).as_bytes()).is_ok());
        for levels in [JSON_DEPTH_MAX, 200, 500_000] {
            let text = refused(&OBJECT, nested(levels).as_bytes());
            assert!(text.contains("nested too deeply"), "{text}");
        }
    }
    let objects = "{\"a\":".repeat(100_000);
    assert!(refused(&OBJECT, objects.as_bytes()).contains("nested too deeply"));
}

#[test]
fn lengths_are_limited() {
    let list = |length: usize| json!({ "tags": vec![0; length] }).to_string();
    assert!(parse_body(&OBJECT, list(LIST_LEN_MAX).as_bytes()).is_ok());
    assert!(refused(&OBJECT, list(LIST_LEN_MAX + 1).as_bytes()).contains("list that is too long"));
    let map = |length: usize| {
        let entries: Map<_, _> = (0..length).map(|n| (n.to_string(), Value::Null)).collect();
        json!({ "custom-field": entries }).to_string()
    };
    assert!(parse_body(&OBJECT, map(LIST_LEN_MAX).as_bytes()).is_ok());
    assert!(refused(&OBJECT, map(LIST_LEN_MAX + 1).as_bytes()).contains("map that is too long"));
    let rows = |length: usize| json!(vec![json!({}); length]).to_string();
    assert!(parse_body(&ARRAY, rows(BATCH_LEN_MAX).as_bytes()).is_ok());
    assert!(refused(&ARRAY, rows(BATCH_LEN_MAX + 1).as_bytes()).contains("too many elements"));
    let wide = json!({ "tags": vec![vec![0; 100]; 999] }).to_string();
    assert!(refused(&OBJECT, wide.as_bytes()).contains("too many values"));
}

proptest! {
    #[test]
    fn reading_is_total_on_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_body(&OBJECT, &body);
        let _ = parse_body(&ARRAY, &body);
    }

    #[test]
    fn reading_is_total_on_json_like_text(body in "[\\[\\]{}:,\"a-z0-9.\\\\ eE+-]{0,80}") {
        let object = parse_body(&OBJECT, body.as_bytes());
        // Whatever is accepted is JSON to another reader as well.
        if object.is_ok() && !body.trim().is_empty() {
            prop_assert!(serde_json::from_str::<Value>(&body).is_ok());
        }
        let _ = parse_body(&ARRAY, body.as_bytes());
    }

    #[test]
    fn what_was_written_is_read(
        name in any::<String>(),
        tags in prop::collection::vec(any::<String>(), 0..5),
    ) {
        let body = json!({"name": name, "tags": tags, "other": [name]}).to_string();
        let args = parse_body(&OBJECT, body.as_bytes()).unwrap();
        prop_assert_eq!(args.raw("name"), Some(&json!(name)));
        prop_assert_eq!(args.raw("tags"), Some(&json!(tags)));
    }
}
