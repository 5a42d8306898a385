//! Checking a chain: [`ChainVerifier`] reads it record by record and names the first thing wrong.

use std::fmt;

use keysherd_base::AccountId;

use crate::chain::{HashFn, Link, NO_LINK, SignedHead, link};
use crate::record::write_prefix;

#[cfg(test)]
pub(crate) mod tests;

/// The first thing wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The bytes of a record (or its stored link) are not what was recorded.
    Altered {
        /// Its number.
        seq: u64,
    },
    /// A record's bytes name another account or another number than its place.
    Misplaced {
        /// Its place.
        seq: u64,
    },
    /// Records are missing in the middle.
    Missing {
        /// The first missing one.
        first: u64,
        /// The last missing one.
        last: u64,
    },
    /// A record comes after later ones.
    Reordered {
        /// Its number.
        seq: u64,
    },
    /// A number is used twice.
    Duplicated {
        /// The number.
        seq: u64,
    },
    /// There are records and no signed head.
    HeadAbsent,
    /// The signature of the head is wrong, or the head belongs to another account.
    HeadForged,
    /// The chain ends before its signed head.
    Truncated {
        /// The first missing record.
        first: u64,
        /// The newest record the head knows.
        last: u64,
    },
    /// The chain goes on after its signed head.
    BeyondHead {
        /// The first record the head does not know.
        first: u64,
    },
    /// The links agree with each other and not with the signed head: somebody recomputed them.
    Rewritten {
        /// The head's number.
        head: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { seq } => write!(f, "record {seq} was altered"),
            Self::Misplaced { seq } => {
                write!(f, "the bytes of record {seq} name another account or number than its place")
            }
            Self::Missing { first, last } => write!(f, "records {first} to {last} are missing"),
            Self::Reordered { seq } => write!(f, "record {seq} was moved behind later ones"),
            Self::Duplicated { seq } => write!(f, "there are two records with number {seq}"),
            Self::HeadAbsent => f.write_str("the signed head is missing"),
            Self::HeadForged => f.write_str("the signature of the head is not genuine"),
            Self::Truncated { first, last } => {
                write!(f, "the end is missing: records {first} to {last}")
            }
            Self::BeyondHead { first } => {
                write!(f, "record {first} and later are not covered by the signed head")
            }
            Self::Rewritten { head } => write!(
                f,
                "the chain up to record {head} was recomputed and does not match the signed head"
            ),
        }
    }
}

/// What was checked and found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records were read.
    pub records: u64,
    /// The number of the last one; 0 for an empty chain.
    pub last_seq: u64,
}

/// Reads one account's chain in the order of its numbers.
#[derive(Debug)]
pub struct ChainVerifier {
    account: AccountId,
    hash: HashFn,
    link: Link,
    records: u64,
    last_seq: u64,
    finding: Option<Finding>,
    prefix: Vec<u8>,
}

impl ChainVerifier {
    /// A verifier for the whole chain of `account`.
    pub fn new(account: AccountId, hash: HashFn) -> Self {
        Self::after(account, hash, 0, NO_LINK)
    }

    /// A verifier for what follows the record `seq`, whose link the caller trusts, such as from a
    /// head that was verified and kept earlier.
    pub fn after(account: AccountId, hash: HashFn, seq: u64, link: Link) -> Self {
        Self { account, hash, link, records: 0, last_seq: seq, finding: None, prefix: Vec::new() }
    }

    /// Takes the next record with its stored number and link.
    pub fn push(&mut self, seq: u64, bytes: &[u8], stored: &Link) {
        self.records += 1;
        match self.finding {
            None => self.finding = self.check(seq, bytes, stored),
            // A record that seemed missing turns up later: it was moved.
            Some(Finding::Missing { first, last }) if (first..=last).contains(&seq) => {
                self.finding = Some(Finding::Reordered { seq });
            }
            Some(_) => {}
        }
        self.last_seq = self.last_seq.max(seq);
        self.link = *stored;
    }

    /// The first thing wrong so far. A missing record may still turn out to be a moved one.
    pub const fn finding(&self) -> Option<Finding> {
        self.finding
    }

    /// Compares the end of the chain with its signed head. `verify` checks a signature over a
    /// body under [`crate::HEAD_LABEL`].
    ///
    /// # Errors
    /// The first [`Finding`].
    pub fn finish(
        self,
        head: Option<&SignedHead>,
        verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
    ) -> Result<Verified, Finding> {
        if let Some(finding) = self.finding {
            return Err(finding);
        }
        let Some(SignedHead { head, signature }) = head else {
            let empty = self.last_seq == 0;
            return if empty { Ok(self.verified()) } else { Err(Finding::HeadAbsent) };
        };
        if head.account != self.account || !verify(&head.signed_body(), signature) {
            return Err(Finding::HeadForged);
        }
        if head.seq > self.last_seq {
            return Err(Finding::Truncated { first: self.last_seq + 1, last: head.seq });
        }
        if head.seq < self.last_seq {
            return Err(Finding::BeyondHead { first: head.seq + 1 });
        }
        if head.link != self.link {
            return Err(Finding::Rewritten { head: head.seq });
        }
        Ok(self.verified())
    }

    fn verified(&self) -> Verified {
        Verified { records: self.records, last_seq: self.last_seq }
    }

    fn check(&mut self, seq: u64, bytes: &[u8], stored: &Link) -> Option<Finding> {
        let expected = self.last_seq + 1;
        if seq > expected {
            return Some(Finding::Missing { first: expected, last: seq - 1 });
        }
        if seq < expected {
            return Some(Finding::Duplicated { seq });
        }
        let intact = link(self.hash, &self.link, seq, bytes) == *stored;
        self.prefix.clear();
        write_prefix(self.account, seq, &mut self.prefix);
        match (bytes.starts_with(&self.prefix), intact) {
            (true, true) => None,
            (true, false) => Some(Finding::Altered { seq }),
            (false, _) => Some(Finding::Misplaced { seq }),
        }
    }
}
