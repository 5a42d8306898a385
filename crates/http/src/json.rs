//! JSON bodies, parsed straight into [`Args`] without a map in between.
//!
//! Nothing of a body is ever repeated in an error, because any part of it may be a secret: errors
//! name the position only.

use std::cell::Cell;
use std::fmt;

use keysherd_base::Fault;
use keysherd_base::limits::{BATCH_LEN_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX};
use keysherd_wire::{Args, Body, FieldSpec, Spec};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use values::{Inside, Kept, Skipped};

mod values;

/// Reads the body of a call of the command `spec`.
///
/// Fields are matched as [`Spec::field`] does; unknown ones are skipped, of two equal ones the
/// last wins. An empty body and `null` are a call without arguments.
///
/// # Errors
/// A bad request that names the position, never the content: no UTF-8, no JSON, something after
/// its end, an object where the command takes an array or the reverse, or over a limit
/// ([`JSON_DEPTH_MAX`], [`JSON_VALUES_MAX`], [`BATCH_LEN_MAX`],
/// [`keysherd_base::limits::LIST_LEN_MAX`]).
pub fn parse_body(spec: &Spec, body: &[u8]) -> Result<Args, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let position = error.valid_up_to();
        Fault::bad_request(format!("the body is not UTF-8 (at byte {position})"))
    })?;
    if text.bytes().all(|byte| b" \t\r\n".contains(&byte)) {
        return Ok(no_arguments(spec));
    }
    let reading = Reading { values_left: Cell::new(JSON_VALUES_MAX), refused: Cell::new(None) };
    let mut parser = serde_json::Deserializer::from_str(text);
    let top = Top { spec, reading: &reading };
    top.deserialize(&mut parser)
        .and_then(|args| parser.end().map(|()| args))
        .map_err(|error| reading.fault(spec, &error))
}

fn no_arguments(spec: &Spec) -> Args {
    match spec.body {
        Body::Object => Args::new(),
        Body::Array => Args::from_rows(Vec::new()),
    }
}

/// What one body may still take, and why it was refused if the parser was not the one to object.
struct Reading {
    values_left: Cell<usize>,
    refused: Cell<Option<&'static str>>,
}

impl Reading {
    fn refuse<E: Error>(&self, why: &'static str) -> E {
        self.refused.set(Some(why));
        E::custom(why)
    }

    fn take_value<E: Error>(&self) -> Result<(), E> {
        let left = self.values_left.get().checked_sub(1);
        self.values_left.set(left.ok_or_else(|| self.refuse("has too many values"))?);
        Ok(())
    }

    /// The depth of a list or object inside one at `depth`.
    fn deeper<E: Error>(&self, depth: usize) -> Result<usize, E> {
        if depth < JSON_DEPTH_MAX {
            Ok(depth + 1)
        } else {
            Err(self.refuse("is nested too deeply"))
        }
    }

    fn fault(&self, spec: &Spec, error: &serde_json::Error) -> Fault {
        let what = match (self.refused.get(), error.classify(), spec.body) {
            (Some(why), ..) => why,
            (None, Category::Eof, _) => "ends too early",
            (None, Category::Syntax | Category::Io, _) => "is not valid JSON",
            (None, Category::Data, Body::Object) => "must be a JSON object",
            (None, Category::Data, Body::Array) => "must be a JSON array of objects",
        };
        let (line, column) = (error.line(), error.column());
        Fault::bad_request(format!("the body {what} (at line {line}, column {column})"))
    }
}

/// The whole body.
struct Top<'a> {
    spec: &'a Spec,
    reading: &'a Reading,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Args;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Args, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Args;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the arguments of a command")
    }

    fn visit_unit<E: Error>(self) -> Result<Args, E> {
        Ok(no_arguments(self.spec))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Args, A::Error> {
        let row = Row { spec: self.spec, reading: self.reading, depth: 1 };
        match self.spec.body {
            Body::Object => row.visit_map(map),
            Body::Array => Err(self.reading.refuse("must be a JSON array of objects")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Args, A::Error> {
        if self.spec.body == Body::Object {
            return Err(self.reading.refuse("must be a JSON object"));
        }
        let mut rows = Vec::new();
        let row = Row { spec: self.spec, reading: self.reading, depth: 2 };
        while let Some(args) = seq.next_element_seed(row)? {
            if rows.len() == BATCH_LEN_MAX {
                return Err(self.reading.refuse("has too many elements"));
            }
            rows.push(args);
        }
        Ok(Args::from_rows(rows))
    }
}

/// One set of arguments: an object at `depth`.
#[derive(Clone, Copy)]
struct Row<'a> {
    spec: &'a Spec,
    reading: &'a Reading,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = Args;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Args, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Args;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Args, A::Error> {
        let inside = Inside { reading: self.reading, depth: self.depth };
        let mut args = Args::new();
        while let Some(known) = map.next_key_seed(Key(self.spec))? {
            match known {
                Some(field) => args.put(field.name, map.next_value_seed(Kept(inside))?),
                None => map.next_value_seed(Skipped(inside))?,
            }
        }
        Ok(args)
    }
}

/// A key, looked up without being copied.
struct Key<'a>(&'a Spec);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<&'static FieldSpec>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<&'static FieldSpec>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, written: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(written))
    }
}

#[cfg(test)]
mod tests;
