//! Identifiers: 16 random bytes inside, the V2 spellings outside.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rng::{Rng, RngFailed};

/// Text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId(pub &'static str);

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid {}", self.0)
    }
}

impl std::error::Error for BadId {}

/// 16 random bytes: the identity of anything that cryptography binds to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// A fresh random id.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random(rng: &dyn Rng) -> Result<Self, RngFailed> {
        rng.array().map(Self)
    }

    /// Parses 32 hex digits.
    ///
    /// # Errors
    /// [`BadId`] for anything else.
    pub fn parse(digits: &str) -> Result<Self, BadId> {
        let mut bytes = [0; 16];
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(BadId("16-byte id")),
        }
    }

    /// Reads 16 bytes.
    ///
    /// # Errors
    /// [`BadId`] when there are not exactly 16.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadId> {
        bytes.try_into().map(Self).map_err(|_| BadId("16-byte id"))
    }

    /// Reads 32 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok().and_then(|bytes| Self::from_slice(&bytes).ok())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identity of a protection key, as bound into every derivation.
pub type KeyId = Uid;
/// The identity of one request, for correlating audit records and logs.
pub type RequestId = Uid;

/// An account. Shown as `acc-` and 32 hex digits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct AccountId(pub Uid);

impl AccountId {
    /// Parses `acc-` and 32 hex digits.
    ///
    /// # Errors
    /// [`BadId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = BadId("account id");
        let digits = text.strip_prefix("acc-").ok_or(bad)?;
        let bytes = hex::decode(digits).map_err(|_| bad)?;
        Uid::from_slice(&bytes).map(Self).map_err(|_| bad)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acc-{}", self.0)
    }
}

/// The integer `item_id` of the V2 API, unique in one control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub i64);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Random text of `length` characters of `[a-z0-9]`, without modulo bias.
pub(crate) fn random_base36(rng: &dyn Rng, length: usize) -> Result<String, RngFailed> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in rng.array::<32>()? {
            // 252 is the largest multiple of 36 that fits a byte; the rest would favor low digits.
            if byte < 252 && text.len() < length {
                text.push(char::from(BASE36[usize::from(byte % 36)]));
            }
        }
    }
    Ok(text)
}

/// The two-group `display_id` of an item: the account's group and the item's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisplayId(pub Box<str>);

impl DisplayId {
    /// A fresh id: the group constant for `account`, a dash, a random group of the same length.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random(account: AccountId, rng: &dyn Rng) -> Result<Self, RngFailed> {
        let group: String = account.0.0[..12]
            .iter()
            .map(|byte| char::from(BASE36[usize::from(byte % 36)]))
            .collect();
        Ok(Self(format!("{group}-{}", random_base36(rng, 12)?).into_boxed_str()))
    }
}

/// The public name of an auth method: `p-` and 12 to 14 characters of `[a-z0-9]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccessId(Box<str>);

impl<'de> Deserialize<'de> for AccessId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl AccessId {
    /// A fresh id of 14 characters.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random(rng: &dyn Rng) -> Result<Self, RngFailed> {
        Ok(Self(format!("p-{}", random_base36(rng, 14)?).into_boxed_str()))
    }

    /// Parses an access id.
    ///
    /// # Errors
    /// [`BadId`] unless it is `p-` and 12 to 14 characters of `[a-z0-9]`.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let body = text.strip_prefix("p-").ok_or(BadId("access id"))?;
        let well_formed = (12..=14).contains(&body.len())
            && body.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed { Ok(Self(text.into())) } else { Err(BadId("access id")) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an association of a role with an auth method: `ass-` and 20 of `[a-z0-9]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssocId(pub Box<str>);

impl AssocId {
    /// A fresh id.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random(rng: &dyn Rng) -> Result<Self, RngFailed> {
        Ok(Self(format!("ass-{}", random_base36(rng, 20)?).into_boxed_str()))
    }
}

impl fmt::Display for AssocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Rng for Counting {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
            for byte in buffer {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    }

    #[test]
    fn ids_have_the_published_shapes() {
        let rng = Counting::default();
        let access = AccessId::random(&rng).unwrap();
        assert_eq!(AccessId::parse(access.as_str()).unwrap(), access);
        let account = AccountId(Uid::random(&rng).unwrap());
        assert_eq!(AccountId::parse(&account.to_string()).unwrap(), account);
        assert_eq!(Uid::parse(&account.0.to_string()), Ok(account.0));
        assert!(Uid::parse("00").is_err());
        let display = DisplayId::random(account, &rng).unwrap();
        assert_eq!(display.0.len(), 25);
        assert_eq!(display.0.as_bytes()[12], b'-');
    }

    #[test]
    fn refuses_malformed_access_ids() {
        for bad in ["", "p-", "p-short", "x-abcdefghijkl", "p-ABCDEFGHIJKL", "p-abcdefghijklmno"] {
            assert!(AccessId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
