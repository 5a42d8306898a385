//! The values of a body's fields: kept ones and skipped ones.

use std::fmt;

use keysherd_base::limits::LIST_LEN_MAX;
use keysherd_wire::wipe;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Reading;

/// A place inside an object or list at `depth`.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub(super) reading: &'a Reading,
    pub(super) depth: usize,
}

impl Inside<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.reading.deeper(self.depth)?;
        Ok(Self { depth, ..self })
    }
}

/// A value of a known field.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a>(pub(super) Inside<'a>);

impl<'de> DeserializeSeed<'de> for Kept<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.reading.take_value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kept<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| self.0.reading.refuse("has a number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inside = self.0.deeper()?;
        let mut list = Wiping(Value::Array(Vec::new()));
        while let Some(value) = seq.next_element_seed(Kept(inside))? {
            if let Value::Array(values) = &mut list.0 {
                if values.len() == LIST_LEN_MAX {
                    return Err(inside.reading.refuse("has a list that is too long"));
                }
                values.push(value);
            }
        }
        Ok(list.done())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.0.deeper()?;
        let mut object = Wiping(Value::Object(Map::new()));
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Kept(inside))?;
            if let Value::Object(entries) = &mut object.0 {
                if let Some(old) = entries.insert(key, value) {
                    wipe(old);
                }
                if entries.len() > LIST_LEN_MAX {
                    return Err(inside.reading.refuse("has a map that is too long"));
                }
            }
        }
        Ok(object.done())
    }
}

/// A value in the making, overwritten when the rest of the body turns out to be bad.
struct Wiping(Value);

impl Wiping {
    fn done(mut self) -> Value {
        self.0.take()
    }
}

impl Drop for Wiping {
    fn drop(&mut self) {
        wipe(self.0.take());
    }
}

/// A value of an unknown field: checked for depth, not kept.
#[derive(Clone, Copy)]
pub(super) struct Skipped<'a>(pub(super) Inside<'a>);

impl<'de> DeserializeSeed<'de> for Skipped<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = Skipped(self.0.deeper()?);
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = Skipped(self.0.deeper()?);
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}
