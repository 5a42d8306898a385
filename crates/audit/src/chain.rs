//! The hash chain: one per account, its newest link signed.
//!
//! ```text
//! link = H("KS1-audit" 00 | previous link [32] | seq, u64 BE | length, u64 BE | record bytes)
//! ```
//! The first record has number 1 and follows [`NO_LINK`]. Whoever changes, removes, inserts or
//! reorders a record has to recompute every later link and then lacks the key that signed the
//! [`Head`].

use keysherd_base::{AccountId, Timestamp};

/// Label in front of what a link hashes, followed by one zero byte.
pub const LINK_LABEL: &str = "KS1-audit";

/// Label under which a head is signed; what is signed with it is [`Head::signed_body`].
pub const HEAD_LABEL: &str = "KS1-sig/audit-head";

/// The hash of a record and, through the link before it, of all before it.
pub type Link = [u8; 32];

/// What the first record follows.
pub const NO_LINK: Link = [0; 32];

/// SHA-256 (or another collision-resistant hash) of parts one after the other.
pub type HashFn = fn(&[&[u8]]) -> [u8; 32];

/// The link of the record `bytes` with number `seq` that follows `previous`.
pub fn link(hash: HashFn, previous: &Link, seq: u64, bytes: &[u8]) -> Link {
    let length = (bytes.len() as u64).to_be_bytes();
    hash(&[LINK_LABEL.as_bytes(), &[0], previous, &seq.to_be_bytes(), &length, bytes])
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose chain.
    pub account: AccountId,
    /// The number of its newest record.
    pub seq: u64,
    /// The link of its newest record.
    pub link: Link,
    /// When the newest record was written.
    pub time: Timestamp,
}

impl Head {
    /// What is signed under [`HEAD_LABEL`]: account (16), seq (u64 BE), link (32), time in
    /// milliseconds since the epoch (i64 BE). All parts have fixed lengths.
    pub fn signed_body(&self) -> [u8; 64] {
        let mut body = [0; 64];
        body[..16].copy_from_slice(self.account.0.as_bytes());
        body[16..24].copy_from_slice(&self.seq.to_be_bytes());
        body[24..56].copy_from_slice(&self.link);
        body[56..].copy_from_slice(&self.time.0.to_be_bytes());
        body
    }

    /// Signs the head with `sign`, which signs its argument under [`HEAD_LABEL`].
    pub fn sign(self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> SignedHead {
        let signature = sign(&self.signed_body());
        SignedHead { head: self, signature }
    }
}

/// A [`Head`] and the signature over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// Ed25519 over [`Head::signed_body`] under [`HEAD_LABEL`].
    pub signature: [u8; 64],
}
