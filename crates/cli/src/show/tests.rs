//! What each kind of answer looks like.

use keysherd_base::SecretBytes;
use keysherd_wire::Show;
use serde_json::{Map, Value, json};

use super::render;
use crate::globals::Format;

fn shown(show: &Show, format: Format, arguments: Value, answer: &str) -> String {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object");
    };
    let body = SecretBytes::new(answer.as_bytes().to_vec());
    let shown = render(show, format, &arguments, &body).unwrap();
    match shown.note {
        Some(note) => format!("note: {note}"),
        None => shown.text.expose().clone(),
    }
}

fn text(show: &Show, arguments: Value, answer: &str) -> String {
    shown(show, Format::Text, arguments, answer)
}

#[test]
fn sentences_take_arguments_and_answers_and_drop_lines_without_values() {
    let show = Show::Sentence(
        "Auth Method {name} successfully created\n- Access ID: {access_id}\n- Access Key: \
         {access_key}\n- Size: {info.size}",
    );
    assert_eq!(
        text(&show, json!({ "name": "ci" }), r#"{"access_id":"p-1","info":{"size":3}}"#),
        "Auth Method ci successfully created\n- Access ID: p-1\n- Size: 3"
    );
    let plain = Show::Sentence("Item {item-name} done {in braces");
    assert_eq!(text(&plain, json!({ "item-name": "/a" }), "{}"), "Item /a done {in braces");
}

#[test]
fn a_value_is_bare_when_there_is_one() {
    let show = Show::Value;
    let cases = [
        (json!({}), r#"{"/a":"x\ny"}"#, "x\ny"),
        (json!({}), r#"{"value":7}"#, "7"),
        (json!({ "names": ["b"] }), r#"{"a":"1","b":"2"}"#, "2"),
        (json!({}), r#"{"b":"2","a":"1"}"#, "{\n   \"b\": \"2\",\n   \"a\": \"1\"\n}"),
        (json!({}), r#"{"/a":{"k":"v"}}"#, "{\n   \"k\": \"v\"\n}"),
    ];
    for (arguments, answer, expected) in cases {
        assert_eq!(text(&show, arguments, answer), expected, "{answer}");
    }
}

#[test]
fn json_keeps_order_numbers_and_strings() {
    let answer = r#"{ "z":1.50, "a":[ ],"o":{},"s":"a\"b{,:[ ]\\","n":[1,{"k":null}] }"#;
    let expected = "{\n   \"z\": 1.50,\n   \"a\": [],\n   \"o\": {},\n   \
                    \"s\": \"a\\\"b{,:[ ]\\\\\",\n   \"n\": [\n      1,\n      {\n         \
                    \"k\": null\n      }\n   ]\n}";
    assert_eq!(text(&Show::Json, json!({}), answer), expected);
    let forced = shown(&Show::Lines, Format::Json, json!({}), r#"["a"]"#);
    assert_eq!(forced, "[\n   \"a\"\n]");
    assert_eq!(
        serde_json::from_str::<Value>(expected).unwrap(),
        serde_json::from_str::<Value>(answer).unwrap()
    );
}

#[test]
fn tables_have_their_columns_and_never_wrap() {
    let show = Show::Table("items", &[("Name", "item_name"), ("Tags", "item_tags")]);
    let long = "x".repeat(300);
    let answer = json!({ "items": [
        { "item_name": "/a", "item_tags": ["t1", "t2"] },
        { "item_name": long, "item_tags": null },
        { "item_name": "two\nlines\u{1b}[2J" },
    ]});
    let table = text(&show, json!({}), &answer.to_string());
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["Name", "Tags"]);
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["/a", "t1,", "t2"]);
    assert_eq!(lines[2], long);
    assert_eq!(lines[3], "two lines\\u001b[2J");
    assert!(lines[1].starts_with("/a"));

    let none = text(&show, json!({}), r#"{"items":null}"#);
    assert_eq!(none, "note: Nothing found.");
}

#[test]
fn any_answer_can_be_a_table() {
    let of = |answer: &str| shown(&Show::Json, Format::Table, json!({}), answer);
    assert_eq!(of(r#"{"b":1,"a":"x"}"#), "a  x\nb  1");
    assert_eq!(
        of(r#"{"rows":[{"id":1,"name":"a","more":{}},{"id":22,"name":"b"}]}"#),
        "id  name\n1   a\n22  b"
    );
    assert_eq!(of(r#"["a","b"]"#), "value\na\nb");
}

#[test]
fn lines_are_the_elements_of_a_list() {
    let show = Show::Lines;
    assert_eq!(text(&show, json!({}), r#"["a","b"]"#), "a\nb");
    assert_eq!(text(&show, json!({}), r#"{"tags":["a"]}"#), "a");
    assert_eq!(text(&show, json!({}), "[]"), "note: Nothing found.");
}

#[test]
fn an_answer_that_is_not_text_is_the_servers_fault() {
    let body = SecretBytes::new(b"{\"a\":\"\xff\"}".to_vec());
    let outcome = render(&Show::Json, Format::Text, &Map::new(), &body);
    assert_eq!(outcome.err().map(|f| f.exit), Some(crate::Exit::ServerError));
}

#[test]
fn what_is_nested_too_deeply_for_a_table_is_shown_as_it_came() {
    // A tree of tokens of the most levels has two of its own for each.
    let levels = 2 * keysherd_base::UID_TREE_LEVELS_MAX as usize;
    let answer = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    for format in [Format::Table, Format::Text, Format::Json] {
        let shown = shown(&Show::Json, format, json!({}), &answer);
        assert_eq!(shown.matches("\"a\"").count(), levels, "{format:?}");
    }
}
