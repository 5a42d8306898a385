//! Bodies of public commands.

use std::fmt;
use std::sync::LazyLock;

use keysherd_api::commands;
use keysherd_base::limits::JSON_DEPTH_MAX;
use keysherd_base::{Fault, FaultKind};
use keysherd_http::parse_body;
use keysherd_wire::{Args, Body, Field, Flag, Int, List, Map, Spec, Text};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

static SPECS: LazyLock<Vec<&'static Spec>> = LazyLock::new(commands::specs);

/// Why a body that is JSON can be refused.
const LIMITS: [&str; 6] = [
    "has too many values",
    "is nested too deeply",
    "has a number out of range",
    "has a list that is too long",
    "has a map that is too long",
    "has too many elements",
];

/// Reads the bytes as the body of every command.
///
/// What is accepted are the fields of the command with the values that an ordinary JSON parser
/// finds, the last of two equal ones. A refusal names a reason and a position, nothing else.
pub fn json_edge(body: &[u8]) {
    let plain = Plain::of(body);
    for spec in SPECS.iter() {
        match (parse_body(spec, body), &plain) {
            (Ok(args), Some(plain)) => check_args(spec, &args, plain),
            (Ok(args), None) => {
                assert!(body.iter().all(u8::is_ascii_whitespace), "accepted what is no JSON");
                assert_eq!(args.names().count() + args.rows().len(), 0);
            }
            (Err(fault), plain) => check_refusal(spec, &fault, plain.as_ref()),
        }
    }
}

/// A body as an ordinary parser sees it; objects keep order and repeated names.
enum Plain {
    Null,
    Object(Vec<(String, Value)>),
    Array(Vec<Plain>),
    Other,
}

impl Plain {
    fn of(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// How deep lists and objects lie in each other.
    fn depth(&self) -> usize {
        match self {
            Self::Null | Self::Other => 0,
            Self::Object(pairs) => 1 + deepest(pairs.iter().map(|(_, value)| depth(value))),
            Self::Array(values) => 1 + deepest(values.iter().map(Self::depth)),
        }
    }

    fn fits(&self, body: Body) -> bool {
        match (self, body) {
            (Self::Null, _) | (Self::Object(_), Body::Object) => true,
            (Self::Array(rows), Body::Array) => {
                rows.iter().all(|row| matches!(row, Self::Object(_)))
            }
            _ => false,
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + deepest(values.iter().map(depth)),
        Value::Object(values) => 1 + deepest(values.values().map(depth)),
        _ => 0,
    }
}

fn deepest(depths: impl Iterator<Item = usize>) -> usize {
    depths.max().unwrap_or(0)
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Plain::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Plain::Object(pairs))
    }
}

fn check_args(spec: &'static Spec, args: &Args, plain: &Plain) {
    assert!(plain.fits(spec.body), "{}: another shape was accepted", spec.name);
    assert!(plain.depth() <= JSON_DEPTH_MAX, "{}: depth {}", spec.name, plain.depth());
    match plain {
        Plain::Object(pairs) => check_row(spec, args, pairs),
        Plain::Array(rows) => {
            assert_eq!(args.rows().len(), rows.len());
            for (args, row) in args.rows().iter().zip(rows) {
                if let Plain::Object(pairs) = row {
                    check_row(spec, args, pairs);
                }
            }
        }
        Plain::Null | Plain::Other => assert_eq!(args.names().count() + args.rows().len(), 0),
    }
}

fn check_row(spec: &'static Spec, args: &Args, pairs: &[(String, Value)]) {
    let mut expected: Vec<(&'static str, &Value)> = Vec::new();
    for (written, value) in pairs {
        let Some(field) = spec.field(written) else { continue };
        expected.retain(|(name, _)| *name != field.name);
        expected.push((field.name, value));
    }
    assert_eq!(args.names().count(), expected.len(), "{}", spec.name);
    for (name, value) in expected {
        assert_eq!(args.raw(name), Some(value), "{} {name}", spec.name);
        check_typed(args, name);
    }
    if let Err(fault) = args.check_required(spec) {
        let named = fault.public().split('\'').skip(1).step_by(2);
        for name in named {
            let field = spec.all_fields().find(|field| field.documented == name);
            assert!(field.is_some_and(|field| field.required), "{fault}");
        }
    }
}

/// Typed reading is total, and its refusal says the field's name and the wanted type only.
fn check_typed(args: &Args, name: &'static str) {
    let refusals = [
        (args.get(&Field::<Text>::text(name, "")).err(), "a text"),
        (args.get(&Field::<Flag>::flag(name, "")).err(), "true or false"),
        (args.get(&Field::<Int>::int(name, "")).err(), "an integer"),
        (args.get(&Field::<List>::list(name, "")).err(), "a list of at most 1000 texts"),
        (args.get(&Field::<Map>::map(name, "")).err(), "a map of at most 1000 texts"),
    ];
    for (refusal, wanted) in refusals {
        let Some(fault) = refusal else { continue };
        let text = format!("invalid value of '{name}': it must be {wanted}");
        assert_eq!(fault.public(), text);
        assert_eq!(fault.private(), None);
    }
    let path = args.path(&Field::<Text>::text(name, ""));
    let folder = args.folder(&Field::<Text>::text(name, ""));
    assert!(path.is_err() || folder.is_ok(), "every item path is a folder path too");
}

fn check_refusal(spec: &Spec, fault: &Fault, plain: Option<&Plain>) {
    assert_eq!((fault.kind(), fault.private()), (FaultKind::BadRequest, None));
    let text = fault.public();
    let reason = reason(text).unwrap_or_else(|| panic!("a refusal of another form: {text}"));
    let wanted = match spec.body {
        Body::Object => "must be a JSON object",
        Body::Array => "must be a JSON array of objects",
    };
    match plain {
        None => {}
        Some(plain) if plain.fits(spec.body) => {
            assert!(LIMITS.contains(&reason), "{}: refused good JSON: {text}", spec.name);
            let deep = plain.depth() > JSON_DEPTH_MAX;
            assert!(deep || reason != "is nested too deeply", "{text}");
        }
        Some(_) => assert!(reason == wanted || LIMITS.contains(&reason), "{text}"),
    }
}

/// The reason in a refusal, when all else in it are its fixed words and numbers.
fn reason(text: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (reason, position) =
        text.strip_prefix("the body ")?.strip_suffix(')')?.split_once(" (at ")?;
    if let Some(byte) = position.strip_prefix("byte ") {
        return (reason == "is not UTF-8" && digits(byte)).then_some(reason);
    }
    let (line, column) = position.strip_prefix("line ")?.split_once(", column ")?;
    let own = [
        "ends too early",
        "is not valid JSON",
        "must be a JSON object",
        "must be a JSON array of objects",
    ];
    let known = own.contains(&reason) || LIMITS.contains(&reason);
    (known && digits(line) && digits(column)).then_some(reason)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let deep = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let long = format!("{{\"name\":[{}0]}}", "0,".repeat(1_000));
    let fixed = [
        "",
        " \n",
        "null",
        "{}",
        "[]",
        "[{\"plaintext\":\"a\"},{\"item-id\":5}]",
        r#"{"name":"/a/b","value":"hunter2","tags":["x","y"],"delete_protection":"TRUE"}"#,
        r#"{"delete_protection":true,"delete-protection":false,"token":"t-1"}"#,
        r#"{"max-versions":1e999,"json":false,"custom-field":{"pin":"1","pin":2.5e-3}}"#,
        r#"{"name":"\ud800","x":{"y":[1,-1,18446744073709551616]}}"#,
        "{\"name\":\"a\"} x",
        "5",
        long.as_str(),
    ];
    let depths = [14, 15, 16, 127].map(|depth| deep(depth).into_bytes());
    fixed.iter().map(|text| text.as_bytes().to_vec()).chain(depths).collect()
}
