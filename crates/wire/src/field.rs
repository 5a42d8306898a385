//! Typed fields: the only way to read an argument, so name, type and help text cannot drift.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use keysherd_base::Fault;
use keysherd_base::limits::LIST_LEN_MAX;
use serde_json::Value;

/// The shape of a field on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// A boolean; also accepted as the strings "true" and "false" in any letter case.
    Flag,
    /// An integer; also accepted as a string of digits.
    Int,
    /// A list of texts; one text is accepted as a list of one.
    List,
    /// A map of texts.
    Map,
}

impl Shape {
    /// Whether `value` can be read as this shape, as [`Kind::read`] reads it, without copying it.
    pub(crate) fn fits(self, value: &Value) -> bool {
        let is_text =
            |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        match self {
            Self::Text => is_text(value),
            Self::Flag => Flag::read(value).is_some(),
            Self::Int => Int::read(value).is_some(),
            Self::List => match value {
                Value::Array(values) => values.len() <= LIST_LEN_MAX && values.iter().all(is_text),
                other => other.is_string(),
            },
            Self::Map => match value {
                Value::Object(map) => map.len() <= LIST_LEN_MAX && map.values().all(is_text),
                _ => false,
            },
        }
    }
}

/// A field as data.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Name with dashes; underscores in requests are read as dashes.
    pub name: &'static str,
    /// Name as the V2 API documents it, where that has underscores.
    pub documented: &'static str,
    /// Shape.
    pub shape: Shape,
    /// Whether the command refuses to run without it.
    pub required: bool,
    /// The default in words, for help texts.
    pub default: Option<&'static str>,
    /// The texts that are allowed; empty: any.
    pub choices: &'static [&'static str],
    /// One-letter flag of the command line.
    pub short: Option<char>,
    /// Whether it carries a secret: never logged or audited, and the command line reads it from
    /// a file or standard input as well.
    pub secret: bool,
    /// Whether the empty text is a value. Otherwise it means "not given", as clients send it for
    /// every optional text.
    pub empty_is_value: bool,
    /// A text that older clients send for "not given".
    pub sentinel: Option<&'static str>,
    /// Accepted for compatibility; has no effect. The help text says so.
    pub inert: bool,
    /// One sentence of help.
    pub help: &'static str,
}

/// A field whose value is read as `K`.
#[derive(Debug)]
pub struct Field<K> {
    spec: FieldSpec,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Field<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Field<K> {}

/// Marker of a text field.
#[derive(Debug)]
pub struct Text;
/// Marker of a boolean field.
#[derive(Debug)]
pub struct Flag;
/// Marker of an integer field.
#[derive(Debug)]
pub struct Int;
/// Marker of a list field.
#[derive(Debug)]
pub struct List;
/// Marker of a map field.
#[derive(Debug)]
pub struct Map;

/// How a marker reads a JSON value.
pub trait Kind {
    /// What it is read as.
    type Value;

    /// Reads `value`, leniently as official clients need it; `None` when the type does not fit.
    fn read(value: &Value) -> Option<Self::Value>;
}

macro_rules! constructor {
    ($marker:ident, $shape:ident, $function:ident, $what:literal) => {
        impl Field<$marker> {
            #[doc = concat!("An optional ", $what, " field.")]
            pub const fn $function(name: &'static str, help: &'static str) -> Self {
                Self { spec: FieldSpec::new(name, Shape::$shape, help), kind: PhantomData }
            }
        }
    };
}

constructor!(Text, Text, text, "text");
constructor!(Flag, Flag, flag, "boolean");
constructor!(Int, Int, int, "integer");
constructor!(List, List, list, "list");
constructor!(Map, Map, map, "map");

impl FieldSpec {
    const fn new(name: &'static str, shape: Shape, help: &'static str) -> Self {
        Self {
            name,
            documented: name,
            shape,
            required: false,
            default: None,
            choices: &[],
            short: None,
            secret: false,
            empty_is_value: false,
            sentinel: None,
            inert: false,
            help,
        }
    }
}

impl<K> Field<K> {
    /// The field as data.
    pub const fn spec(&self) -> FieldSpec {
        self.spec
    }

    /// The field's name.
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The command refuses to run without it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.spec.required = true;
        self
    }

    /// Documented by the V2 API under this spelling (with underscores).
    #[must_use]
    pub const fn documented_as(mut self, spelling: &'static str) -> Self {
        self.spec.documented = spelling;
        self
    }

    /// The default, in words.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.spec.default = Some(text);
        self
    }

    /// Only these texts are allowed, in any letter case.
    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.spec.choices = choices;
        self
    }

    /// The one-letter flag of the command line.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Self {
        self.spec.short = Some(letter);
        self
    }

    /// It carries a secret.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.spec.secret = true;
        self
    }

    /// The empty text is a value of its own.
    #[must_use]
    pub const fn empty_is_value(mut self) -> Self {
        self.spec.empty_is_value = true;
        self
    }

    /// This text means "not given".
    #[must_use]
    pub const fn sentinel(mut self, text: &'static str) -> Self {
        self.spec.sentinel = Some(text);
        self
    }

    /// Accepted for compatibility, without effect.
    #[must_use]
    pub const fn inert(mut self) -> Self {
        self.spec.inert = true;
        self
    }
}

/// A named set of fields that several commands share.
#[derive(Debug)]
pub struct Group {
    /// What the fields are about; a heading in help texts and pages.
    pub title: &'static str,
    /// The fields.
    pub fields: &'static [FieldSpec],
}

impl Kind for Text {
    type Value = String;

    fn read(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            // Older clients send numbers and booleans where newer ones send text.
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }
}

impl Kind for Flag {
    type Value = bool;

    fn read(value: &Value) -> Option<bool> {
        match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

impl Kind for Int {
    type Value = i64;

    fn read(value: &Value) -> Option<i64> {
        match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

impl Kind for List {
    type Value = Vec<String>;

    fn read(value: &Value) -> Option<Vec<String>> {
        match value {
            Value::Array(values) if values.len() <= LIST_LEN_MAX => {
                values.iter().map(Text::read).collect()
            }
            Value::String(text) if text.is_empty() => Some(Vec::new()),
            Value::String(text) => Some(vec![text.clone()]),
            _ => None,
        }
    }
}

impl Kind for Map {
    type Value = BTreeMap<String, String>;

    fn read(value: &Value) -> Option<BTreeMap<String, String>> {
        match value {
            Value::Object(map) if map.len() <= LIST_LEN_MAX => {
                map.iter().map(|(key, v)| Some((key.clone(), Text::read(v)?))).collect()
            }
            _ => None,
        }
    }
}

impl FieldSpec {
    /// Whether `value` means that the field was not given.
    pub(crate) fn is_absent(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => {
                (text.is_empty() && !self.empty_is_value) || self.sentinel == Some(text.as_str())
            }
            _ => false,
        }
    }

    /// The error for a value that does not fit. It names the field, never the value.
    pub(crate) fn mistyped(&self) -> Fault {
        let wanted = match self.shape {
            Shape::Text => "a text",
            Shape::Flag => "true or false",
            Shape::Int => "an integer",
            Shape::List => "a list of at most 1000 texts",
            Shape::Map => "a map of at most 1000 texts",
        };
        Fault::bad_request(format!("invalid value of '{}': it must be {wanted}", self.documented))
    }
}
