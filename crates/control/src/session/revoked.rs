//! Tokens that were revoked before their end: in memory for the check, in the store for restarts.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use keysherd_base::{Fault, Timestamp, Uid};

/// Most revocations in force at one time. Each ends with its token; when there are this many,
/// another is refused rather than one forgotten.
const REVOKED_MAX: usize = 1_000_000;

/// The revoked tokens whose end has not come.
#[derive(Default)]
pub(crate) struct Revoked(RwLock<HashMap<Uid, Timestamp>>);

impl Revoked {
    /// The revocations the store knows, by token id and end of the token.
    pub(crate) fn new(known: impl IntoIterator<Item = (Uid, Timestamp)>) -> Self {
        Self(RwLock::new(known.into_iter().collect()))
    }

    /// Whether the token was revoked.
    pub(crate) fn contains(&self, token: Uid) -> bool {
        // The map is whole between any two statements, so a poisoned lock is usable.
        let revoked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        revoked.contains_key(&token)
    }

    /// Makes sure there is room for one more at `now`, by dropping those whose token has ended.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when there is none.
    pub(crate) fn make_room(&self, now: Timestamp) -> Result<(), Fault> {
        self.make_room_below(REVOKED_MAX, now)
    }

    fn make_room_below(&self, most: usize, now: Timestamp) -> Result<(), Fault> {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() < most {
            return Ok(());
        }
        revoked.retain(|_, end| now < *end);
        if revoked.len() < most {
            return Ok(());
        }
        Err(Fault::unavailable(
            "too many revoked tokens are waiting for their end; try again later, or reset the \
             access key to end all tokens of the auth method",
        ))
    }

    /// Forgets what is known, for what the store knows now.
    pub(crate) fn replace(&self, known: impl IntoIterator<Item = (Uid, Timestamp)>) {
        let known = known.into_iter().collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Revokes the token that ends at `end`.
    pub(crate) fn insert(&self, token: Uid, end: Timestamp) {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.insert(token, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_drops_only_what_has_ended() {
        let revoked = Revoked::new([(Uid([1; 16]), Timestamp(10))]);
        revoked.insert(Uid([2; 16]), Timestamp(20));
        assert!(revoked.make_room_below(2, Timestamp(9)).is_err());
        assert!(revoked.contains(Uid([1; 16])));
        revoked.make_room_below(2, Timestamp(10)).unwrap();
        assert!(!revoked.contains(Uid([1; 16])));
        assert!(revoked.contains(Uid([2; 16])));
    }
}
