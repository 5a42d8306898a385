//! The little of BSON that commands and their answers need (bsonspec.org, version 1.1). What is
//! written is wiped, because passwords are in it; what is read is bounded in depth and count.

use std::collections::BTreeMap;

use keysherd_base::{SecretBuffer, SecretBytes};
use serde_json::{Number, Value};

#[cfg(test)]
mod tests;

/// How deep documents may be, and how many things one may have altogether.
const DEPTH_MAX: usize = 16;
const ITEMS_MAX: usize = 4_096;

/// A document that is being written. Names are in the order in which they are given.
pub struct Doc(SecretBuffer);

impl Default for Doc {
    fn default() -> Self {
        Self::new()
    }
}

impl Doc {
    /// An empty one.
    pub fn new() -> Self {
        Self(SecretBuffer::with_capacity(512))
    }

    fn named(&mut self, kind: u8, name: &str) {
        self.0.extend(&[kind]);
        // A name ends at its first zero byte.
        self.0.extend(name.split('\0').next().unwrap_or_default().as_bytes());
        self.0.extend(&[0]);
    }

    /// With a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.named(2, name);
        self.0.extend(&length(text.len() + 1));
        self.0.extend(text.as_bytes());
        self.0.extend(&[0]);
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, name: &str, number: i32) -> Self {
        self.named(16, name);
        self.0.extend(&number.to_le_bytes());
        self
    }

    /// With yes or no.
    #[must_use]
    pub fn flag(mut self, name: &str, flag: bool) -> Self {
        self.named(8, name);
        self.0.extend(&[u8::from(flag)]);
        self
    }

    /// With bytes.
    #[must_use]
    pub(super) fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        self.named(5, name);
        self.0.extend(&length(bytes.len()));
        self.0.extend(&[0]);
        self.0.extend(bytes);
        self
    }

    /// With a document.
    #[must_use]
    pub fn doc(mut self, name: &str, doc: Self) -> Self {
        self.named(3, name);
        self.0.extend(doc.finish().expose());
        self
    }

    /// With a list of documents.
    #[must_use]
    pub fn docs(mut self, name: &str, docs: Vec<Self>) -> Self {
        self.named(4, name);
        let list = Self::new();
        let list = docs
            .into_iter()
            .enumerate()
            .fold(list, |list, (at, doc)| list.doc(&at.to_string(), doc));
        self.0.extend(list.finish().expose());
        self
    }

    /// With whatever JSON says; what is deeper than 16 levels becomes nothing.
    #[must_use]
    pub fn json(self, name: &str, value: &Value) -> Self {
        self.value(name, value, DEPTH_MAX)
    }

    fn value(mut self, name: &str, value: &Value, depth: usize) -> Self {
        match value {
            Value::String(text) => return self.text(name, text),
            Value::Bool(flag) => return self.flag(name, *flag),
            Value::Number(number) => self.any_number(name, number),
            Value::Object(members) if depth > 0 => {
                let doc = Self::new();
                let doc = members.iter().fold(doc, |doc, (name, v)| doc.value(name, v, depth - 1));
                return self.doc(name, doc);
            }
            Value::Array(items) if depth > 0 => {
                self.named(4, name);
                let list = items.iter().enumerate().fold(Self::new(), |list, (at, item)| {
                    list.value(&at.to_string(), item, depth - 1)
                });
                self.0.extend(list.finish().expose());
            }
            Value::Null | Value::Object(_) | Value::Array(_) => self.named(10, name),
        }
        self
    }

    fn any_number(&mut self, name: &str, number: &Number) {
        match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => {
                self.named(18, name);
                self.0.extend(&whole.to_le_bytes());
            }
            (None, Some(broken)) => {
                self.named(1, name);
                self.0.extend(&broken.to_le_bytes());
            }
            (None, None) => self.named(10, name),
        }
    }

    /// The bytes.
    pub(super) fn finish(self) -> SecretBytes {
        let body = self.0.finish();
        let mut whole = SecretBuffer::with_capacity(body.expose().len() + 5);
        whole.extend(&length(body.expose().len() + 5));
        whole.extend(body.expose());
        whole.extend(&[0]);
        whole.finish()
    }
}

fn length(bytes: usize) -> [u8; 4] {
    // Whatever is written is far shorter; see the limits on settings.
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// What a document has.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Number(f64),
    Text(String),
    Flag(bool),
    Bytes(Vec<u8>),
    Doc(Items),
    List(Vec<Self>),
    /// Something that nobody here asks for.
    Other,
}

/// A document that was read.
pub(super) type Items = BTreeMap<String, Item>;

/// Reads a document; `None`: it is none, or too deep or too large for an answer.
pub(super) fn read(bytes: &[u8]) -> Option<Items> {
    let mut left = ITEMS_MAX;
    let mut rest = bytes;
    let items = document(&mut rest, DEPTH_MAX, &mut left)?;
    rest.is_empty().then(|| items.into_iter().collect())
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn whole(rest: &mut &[u8]) -> Option<usize> {
    let bytes = take(rest, 4)?.try_into().ok()?;
    usize::try_from(i32::from_le_bytes(bytes)).ok()
}

fn c_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = take(rest, end)?;
    take(rest, 1)?;
    Some(text)
}

fn document(rest: &mut &[u8], depth: usize, left: &mut usize) -> Option<Vec<(String, Item)>> {
    let length = whole(rest)?.checked_sub(4)?;
    let mut body = take(rest, length)?;
    let mut items = Vec::new();
    loop {
        let kind = take(&mut body, 1)?[0];
        if kind == 0 {
            return body.is_empty().then_some(items);
        }
        *left = left.checked_sub(1)?;
        let name = String::from_utf8(c_text(&mut body)?.to_vec()).ok()?;
        items.push((name, item(kind, &mut body, depth, left)?));
    }
}

fn item(kind: u8, rest: &mut &[u8], depth: usize, left: &mut usize) -> Option<Item> {
    let skipped = match kind {
        1 => return Some(Item::Number(f64::from_le_bytes(take(rest, 8)?.try_into().ok()?))),
        2 => {
            let text = whole(rest)?.checked_sub(1)?;
            let text = take(rest, text)?;
            return (take(rest, 1)? == [0])
                .then_some(())
                .and_then(|()| String::from_utf8(text.to_vec()).ok())
                .map(Item::Text);
        }
        3 => {
            return Some(Item::Doc(
                document(rest, depth.checked_sub(1)?, left)?.into_iter().collect(),
            ));
        }
        4 => {
            let items = document(rest, depth.checked_sub(1)?, left)?;
            return Some(Item::List(items.into_iter().map(|(_, item)| item).collect()));
        }
        5 => {
            let length = whole(rest)?;
            take(rest, 1)?;
            return Some(Item::Bytes(take(rest, length)?.to_vec()));
        }
        8 => return Some(Item::Flag(take(rest, 1)? != [0])),
        16 => {
            let number = i32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
            return Some(Item::Number(f64::from(number)));
        }
        18 => {
            // No number that is asked for is beyond what both can say.
            let number = i64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
            return Some(i32::try_from(number).map_or(Item::Other, |n| Item::Number(f64::from(n))));
        }
        // Undefined, null, the smallest and the largest key.
        6 | 10 | 0xff | 0x7f => 0,
        9 | 17 => 8,
        7 => 12,
        19 => 16,
        11 => {
            c_text(rest)?;
            c_text(rest)?;
            0
        }
        12 => whole(rest)? + 12,
        13 | 14 => whole(rest)?,
        15 => whole(rest)?.checked_sub(4)?,
        _ => return None,
    };
    take(rest, skipped)?;
    Some(Item::Other)
}
