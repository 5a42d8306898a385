//! What a bearer token says: the compact binary body that the token key seals.
//!
//! Nothing is stored per login; everything a request needs to find its bearer again is in here,
//! and nothing the bearer may not see. All integers are big-endian:
//!
//! ```text
//! body   = 01 | account 16 | method i64 | generation u32 | token id 16 | issued i64 | expires i64
//!        | address | text unique_id | count u16 | claim*
//! address = 04 octets 4 | 10 octets 16
//! claim  = text name | count u16 | text*
//! text   = length u16 | UTF-8
//! ```
//!
//! Times are milliseconds since 1970. The claims are those beyond `client_ip` and
//! `client_unique_id`, which have their own fields.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_domain::claims::{CLIENT_IP, CLIENT_UNIQUE_ID, SubClaims};

#[cfg(test)]
mod tests;

/// What tokens start with, before the hex digits.
pub(crate) const TOKEN_PREFIX: &str = "t-";

/// Longest body: what fits `limits::TOKEN_BYTES_MAX` characters with its tag, rounded down.
pub(crate) const BODY_BYTES_MAX: usize = 8_000;

const FORMAT: u8 = 1;

/// A body would be longer than [`BODY_BYTES_MAX`]: the identity carries too many claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyClaims;

/// The body of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenBody {
    /// The account.
    pub(crate) account: AccountId,
    /// The auth method, by its integer id.
    pub(crate) method: i64,
    /// The method's generation at login.
    pub(crate) generation: u32,
    /// What a revocation names.
    pub(crate) id: Uid,
    /// When the login was.
    pub(crate) issued: Timestamp,
    /// When the token ends.
    pub(crate) expires: Timestamp,
    /// The client's address at login.
    pub(crate) address: IpAddr,
    /// Who the bearer is within a shared method.
    pub(crate) unique_id: String,
    /// Claims beyond the two that every token has.
    pub(crate) claims: SubClaims,
}

impl TokenBody {
    /// All claims, those that every token has included. They win over claims of the same name.
    pub(crate) fn all_claims(&self) -> SubClaims {
        let mut claims = self.claims.clone();
        claims.set(CLIENT_IP, self.address.to_string());
        claims.set(CLIENT_UNIQUE_ID, self.unique_id.clone());
        claims
    }

    /// The encoding that is sealed.
    ///
    /// # Errors
    /// [`TooManyClaims`].
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, TooManyClaims> {
        let mut to = Vec::with_capacity(96 + self.unique_id.len());
        to.push(FORMAT);
        to.extend_from_slice(self.account.0.as_bytes());
        to.extend_from_slice(&self.method.to_be_bytes());
        to.extend_from_slice(&self.generation.to_be_bytes());
        to.extend_from_slice(self.id.as_bytes());
        to.extend_from_slice(&self.issued.0.to_be_bytes());
        to.extend_from_slice(&self.expires.0.to_be_bytes());
        match self.address {
            IpAddr::V4(address) => {
                to.push(4);
                to.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                to.push(16);
                to.extend_from_slice(&address.octets());
            }
        }
        put_text(&mut to, &self.unique_id)?;
        put_count(&mut to, self.claims.0.len())?;
        for (name, values) in &self.claims.0 {
            put_text(&mut to, name)?;
            put_count(&mut to, values.len())?;
            for value in values {
                put_text(&mut to, value)?;
            }
        }
        if to.len() > BODY_BYTES_MAX { Err(TooManyClaims) } else { Ok(to) }
    }

    /// Reads a body whose seal was good; `None` for another format, such as that of a later
    /// release.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Cursor(bytes);
        if from.array::<1>()? != [FORMAT] {
            return None;
        }
        let body = Self {
            account: AccountId(Uid(from.array()?)),
            method: i64::from_be_bytes(from.array()?),
            generation: u32::from_be_bytes(from.array()?),
            id: Uid(from.array()?),
            issued: Timestamp(i64::from_be_bytes(from.array()?)),
            expires: Timestamp(i64::from_be_bytes(from.array()?)),
            address: from.address()?,
            unique_id: from.text()?,
            claims: from.claims()?,
        };
        from.0.is_empty().then_some(body)
    }
}

fn put_count(to: &mut Vec<u8>, count: usize) -> Result<(), TooManyClaims> {
    let count = u16::try_from(count).map_err(|_| TooManyClaims)?;
    to.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

fn put_text(to: &mut Vec<u8>, text: &str) -> Result<(), TooManyClaims> {
    put_count(to, text.len())?;
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn count(&mut self) -> Option<usize> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.count()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        String::from_utf8(head.to_vec()).ok()
    }

    fn address(&mut self) -> Option<IpAddr> {
        match self.array::<1>()? {
            [4] => self.array::<4>().map(Ipv4Addr::from).map(IpAddr::V4),
            [16] => self.array::<16>().map(Ipv6Addr::from).map(IpAddr::V6),
            _ => None,
        }
    }

    fn claims(&mut self) -> Option<SubClaims> {
        let mut claims = SubClaims::default();
        for _ in 0..self.count()? {
            let name = self.text()?;
            // As they were written: in order, so that no name comes twice.
            if claims.0.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return None;
            }
            // No capacity from the count: the bytes that are there bound the loop.
            let mut values = Vec::new();
            for _ in 0..self.count()? {
                values.push(self.text()?);
            }
            claims.0.insert(name, values);
        }
        Some(claims)
    }
}
