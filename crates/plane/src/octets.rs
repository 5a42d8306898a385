//! Serde for shared bytes as one run of bytes. Serde itself writes and reads `Arc<[u8]>` number by
//! number, which costs more than anything else about a message with a ciphertext.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

/// As `#[serde(with = "octets")]` needs it.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

/// As `#[serde(with = "octets")]` needs it.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
    from.deserialize_bytes(Octets)
}

/// The most elements that memory is taken for before they are there.
const RESERVED_MAX: usize = 4 * 1024;

struct Octets;

impl<'de> Visitor<'de> for Octets {
    type Value = Arc<[u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(bytes.into())
    }

    /// For formats without bytes of their own, such as JSON.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
        let expected = numbers.size_hint().unwrap_or_default().min(RESERVED_MAX);
        let mut bytes = Vec::with_capacity(expected);
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}
