//! Documents that the specification shows, and bytes that are none.

use serde_json::json;

use super::*;

#[test]
fn documents_are_written_as_the_specification_shows() {
    let hello = Doc::new().text("hello", "world").finish();
    assert_eq!(hello.expose(), b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0");
    let list = Doc::new().json("BSON", &json!(["awesome", 5.05, 1986])).finish();
    let expected = b"\x35\0\0\0\x04BSON\0\x2a\0\0\0\x020\0\x08\0\0\0awesome\0\x011\0\x33\x33\x33\
        \x33\x33\x33\x14\x40\x122\0\xc2\x07\0\0\0\0\0\0\0\0";
    assert_eq!(list.expose(), expected);
}

#[test]
fn what_is_written_is_read() {
    let doc = Doc::new()
        .number("ok", 1)
        .flag("done", true)
        .bytes("payload", b"v=x")
        .docs("roles", vec![Doc::new().text("role", "read")])
        .json("custom", &json!({"a": {"b": null}, "n": 7}))
        .finish();
    let items = read(doc.expose()).unwrap();
    assert_eq!(items["ok"], Item::Number(1.0));
    assert_eq!(items["done"], Item::Flag(true));
    assert_eq!(items["payload"], Item::Bytes(b"v=x".to_vec()));
    let Item::List(roles) = &items["roles"] else { panic!("{items:?}") };
    let Item::Doc(role) = &roles[0] else { panic!("{roles:?}") };
    assert_eq!(role["role"], Item::Text("read".to_owned()));
    let Item::Doc(custom) = &items["custom"] else { panic!("{items:?}") };
    assert_eq!(custom["n"], Item::Number(7.0));
}

#[test]
fn what_is_cut_or_too_deep_or_lies_about_its_length_is_none() {
    let doc = Doc::new().text("a", "bcd").json("e", &json!([1, {"f": true}])).finish();
    for end in 0..doc.expose().len() {
        assert_eq!(read(&doc.expose()[..end]), None, "{end}");
    }
    for (at, byte) in [(0, 200), (0, 0), (3, 0xff), (8, 0xff), (7, 0), (4, 0x55)] {
        let mut bytes = doc.expose().clone();
        bytes[at] = byte;
        assert_eq!(read(&bytes), None, "{at} {byte}");
    }
    let mut deep = Doc::new();
    for _ in 0..DEPTH_MAX + 1 {
        deep = Doc::new().doc("d", deep);
    }
    assert_eq!(read(deep.finish().expose()), None);
    let many = (0..=ITEMS_MAX).fold(Doc::new(), |doc, at| doc.flag(&at.to_string(), true));
    assert_eq!(read(many.finish().expose()), None);
}

#[test]
fn a_name_with_a_zero_byte_begins_nothing_else() {
    let doc = Doc::new().json("custom", &json!({"a\0\x08b": true})).finish();
    let items = read(doc.expose()).unwrap();
    let Item::Doc(custom) = &items["custom"] else { panic!("{items:?}") };
    assert_eq!(custom.keys().collect::<Vec<_>>(), ["a"]);
}
