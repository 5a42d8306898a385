//! The nonces of recent login proofs: each is accepted once.
//!
//! Only proofs with a good signature come here, so nobody without a credential can fill it. When
//! it is full, logins are refused rather than nonces forgotten. It is memory only; a proof made
//! before this process started is therefore refused (see `login`).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use keysherd_base::Timestamp;

/// Most nonces remembered: 8,000 logins a second for the two minutes a nonce is kept.
const NONCES_MAX: usize = 1_000_000;

/// Why a nonce was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceRefused {
    /// It was seen before.
    Replayed,
    /// There is no room until older ones are forgotten.
    Full,
}

/// The nonces seen lately.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    nonces: HashSet<[u8; 16]>,
    // In the order of arrival, with the time each may be forgotten.
    order: VecDeque<(Timestamp, [u8; 16])>,
}

impl Nonces {
    /// Takes `nonce` at time `now`, to be remembered until `forget_after`.
    ///
    /// # Errors
    /// [`NonceRefused`].
    pub(crate) fn take(
        &self,
        nonce: [u8; 16],
        now: Timestamp,
        forget_after: Timestamp,
    ) -> Result<(), NonceRefused> {
        self.take_bounded(nonce, now, forget_after, NONCES_MAX)
    }

    fn take_bounded(
        &self,
        nonce: [u8; 16],
        now: Timestamp,
        forget_after: Timestamp,
        most: usize,
    ) -> Result<(), NonceRefused> {
        // The data is consistent between any two statements, so a poisoned lock is usable.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((until, old)) = seen.order.front().copied() {
            if until >= now {
                break;
            }
            seen.order.pop_front();
            seen.nonces.remove(&old);
        }
        if seen.nonces.contains(&nonce) {
            return Err(NonceRefused::Replayed);
        }
        if seen.nonces.len() >= most {
            return Err(NonceRefused::Full);
        }
        seen.nonces.insert(nonce);
        seen.order.push_back((forget_after, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_until_it_may_be_forgotten() {
        let nonces = Nonces::default();
        let take = |nonce, now| nonces.take([nonce; 16], Timestamp(now), Timestamp(now + 10));
        assert_eq!(take(1, 0), Ok(()));
        assert_eq!(take(1, 10), Err(NonceRefused::Replayed));
        assert_eq!(take(2, 10), Ok(()));
        assert_eq!(take(1, 11), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let nonces = Nonces::default();
        let take =
            |nonce, now| nonces.take_bounded([nonce; 16], Timestamp(now), Timestamp(now + 10), 2);
        assert_eq!(take(1, 0), Ok(()));
        assert_eq!(take(2, 5), Ok(()));
        assert_eq!(take(3, 6), Err(NonceRefused::Full));
        assert_eq!(take(1, 6), Err(NonceRefused::Replayed));
        assert_eq!(take(3, 11), Ok(()));
    }
}
