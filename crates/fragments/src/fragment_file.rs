//! The file of customer fragments: JSON, as other gateways of the V2 API read it.
//!
//! ```text
//! {"customer_fragments": [
//!   {"id": "cf-<32 hex digits>", "value": "<base64 of exactly 32 bytes>", "name": "..",
//!    "description": "..", "fragment_type": "hsm_wrapped", "key_label": "..",
//!    "backup_verified_at": 1767607872}
//! ]}
//! ```
//!
//! `name` and the rest are optional. The value of a fragment of type `standard`, the default, is
//! the fragment; that of `hsm_wrapped` and `hsm_secured` is a seed, of which the hardware key
//! `key_label` makes the fragment. `backup_verified_at` is ours: seconds since 1970 at which
//! recovery shares were last shown to restore the fragment.
//!
//! Reading is strict, and one bad entry does not take the others with it: it becomes a [`Problem`]
//! with a text that names place and reason and repeats nothing of the value.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Secret, SecretBuffer, SecretBytes, Timestamp, Uid};
use zeroize::Zeroizing;

use crate::leg_c::CustomerFragment;
use crate::refusal::Refusal;

mod parse;
#[cfg(test)]
mod tests;

/// Largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most fragments of one file, as many as a trust bundle can list.
pub const FRAGMENTS_MAX: usize = 1_000;
/// Longest name and longest label of a hardware key, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest description in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Bytes of a fragment.
pub const VALUE_BYTES: usize = 32;

/// Where the fragment comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragmentKind {
    /// The value in the file is the fragment.
    Standard,
    /// A hardware key makes it of the value once, when the gateway starts.
    HsmWrapped {
        /// The label of the hardware key.
        key_label: String,
    },
    /// A hardware key makes it of the value for every use.
    HsmSecured {
        /// The label of the hardware key.
        key_label: String,
    },
}

impl FragmentKind {
    /// The name in files and on command lines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::HsmWrapped { .. } => "hsm_wrapped",
            Self::HsmSecured { .. } => "hsm_secured",
        }
    }

    /// The label of the hardware key, where there is one.
    pub fn key_label(&self) -> Option<&str> {
        match self {
            Self::Standard => None,
            Self::HsmWrapped { key_label } | Self::HsmSecured { key_label } => Some(key_label),
        }
    }
}

/// One fragment of a file.
#[derive(Debug)]
pub struct FragmentEntry {
    /// Its id.
    pub id: Uid,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where it comes from.
    pub kind: FragmentKind,
    /// The fragment, or the seed of which a hardware key makes it.
    pub value: Secret<[u8; VALUE_BYTES]>,
    /// When recovery shares of it were last shown to restore it.
    pub backup_verified_at: Option<Timestamp>,
}

impl FragmentEntry {
    /// The fragment, when its value is in the file.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for a seed, which is none; and as [`CustomerFragment::new`].
    pub fn fragment(&self) -> Result<CustomerFragment, Refusal> {
        match self.kind {
            FragmentKind::Standard => CustomerFragment::new(self.id, self.value.expose()),
            _ => Err(Refusal::Malformed),
        }
    }
}

/// Why an entry, or the file, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The fragment, where its id could be read.
    pub id: Option<Uid>,
    /// Place and reason; nothing of the value.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

/// The fragments of a file.
#[derive(Debug, Default)]
pub struct FragmentFile {
    /// Those that can be used, in the order of the file.
    pub entries: Vec<FragmentEntry>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

impl FragmentFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Problem`] when nothing of it can be used: too large, not JSON, or not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        parse::file(bytes)
    }

    /// The file, if there is nothing wrong with any entry.
    ///
    /// # Errors
    /// The first problem.
    pub fn sound(self) -> Result<Self, Problem> {
        match self.problems.first() {
            None => Ok(self),
            Some(problem) => Err(problem.clone()),
        }
    }

    /// The entry with this id.
    pub fn entry(&self, id: &Uid) -> Option<&FragmentEntry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// What is wrong with the fragment of this id.
    pub fn problem(&self, id: &Uid) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.id.as_ref() == Some(id))
    }

    /// The file's text, with the values in it.
    pub fn to_json(&self) -> SecretBytes {
        let mut out = SecretBuffer::with_capacity(64 + 512 * self.entries.len());
        out.extend(b"{\n  \"customer_fragments\": [");
        for (place, entry) in self.entries.iter().enumerate() {
            out.extend(if place == 0 { b"\n    {" } else { b",\n    {" });
            entry.write(&mut out);
            out.extend(b"\n    }");
        }
        out.extend(b"\n  ]\n}\n");
        out.finish()
    }
}

impl FragmentEntry {
    fn write(&self, out: &mut SecretBuffer) {
        let mut value = Zeroizing::new([0; 44]);
        let encoded = STANDARD.encode_slice(self.value.expose(), &mut *value);
        encoded.expect("invariant: 32 bytes are 44 characters");
        out.extend(
            format!("\n      \"id\": \"{}\",\n      \"value\": \"", id_text(&self.id)).as_bytes(),
        );
        out.extend(&*value);
        out.extend(b"\"");
        let mut text = |name: &str, text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            out.extend(format!(",\n      \"{name}\": {quoted}").as_bytes());
        };
        text("name", &self.name);
        text("description", &self.description);
        if let Some(label) = self.kind.key_label() {
            text("fragment_type", self.kind.name());
            text("key_label", label);
        }
        if let Some(at) = self.backup_verified_at {
            let field = format!(",\n      \"backup_verified_at\": {}", at.seconds());
            out.extend(field.as_bytes());
        }
    }
}

/// How a fragment's id is written: `cf-` and 32 hex digits.
pub fn id_text(id: &Uid) -> String {
    format!("cf-{id}")
}

/// The id in such a text, in lower or upper case; zero means "no fragment" and is none.
pub fn parse_id(text: &str) -> Option<Uid> {
    let id = text.strip_prefix("cf-").and_then(Uid::from_hex)?;
    (id != Uid::default()).then_some(id)
}

/// How a fragment's check value is shown to people: `kf-` and eight groups of four hex digits.
/// Identity keys are shown otherwise, so that nobody compares one with the other.
pub fn fingerprint_text(check: &[u8; 16]) -> String {
    let groups: Vec<String> = check
        .chunks(2)
        .map(|pair| pair.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    format!("kf-{}", groups.join("-"))
}
