//! What counts once: assertions, signed requests and challenges that were accepted lately.
//!
//! Only what has a good signature comes here, so nobody without a credential can fill it. When it
//! is full, logins are refused rather than anything forgotten. It is memory only: what was made
//! before this process started is refused, since it may have been used then.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::hash::sha256;

/// Most things remembered: 1,600 logins a second for five minutes, in some 50 MB.
const REMEMBERED_MAX: usize = 500_000;

/// Where what counts once is remembered when several control planes must know of it.
pub trait UsedOnce: Send + Sync {
    /// Uses the thing with this mark up, durably and for all of them; it is refused by its own time
    /// after `until`. `false` when it was used before.
    ///
    /// # Errors
    /// When that cannot be known.
    fn take(&self, mark: [u8; 16], until: Timestamp) -> Result<bool, Fault>;
}

/// The mark of a thing.
pub(crate) fn mark_of(what: &[u8]) -> Mark {
    let hash = sha256(&[what]);
    let mut mark = Mark::default();
    mark.copy_from_slice(&hash[..16]);
    mark
}

/// The refusal of what was used before.
pub(crate) fn replayed() -> Fault {
    Fault::unauthorized("this proof was used before; make a fresh one")
}

/// The first half of a SHA-256: enough that nobody finds two texts with the same one who could not
/// sign both.
pub(crate) type Mark = [u8; 16];

/// What was accepted lately.
#[derive(Default)]
pub(crate) struct Replays(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    marks: HashSet<Mark>,
    ends: BTreeSet<(Timestamp, Mark)>,
}

impl Replays {
    /// Takes `what` at time `now`, to be remembered until `until`.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it was taken before, [`Fault::unavailable`] when too much is
    /// remembered.
    pub(crate) fn take(&self, what: &[u8], now: Timestamp, until: Timestamp) -> Result<(), Fault> {
        self.take_bounded(what, now, until, REMEMBERED_MAX)
    }

    fn take_bounded(
        &self,
        what: &[u8],
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<(), Fault> {
        let mark = mark_of(what);
        // The data is consistent between any two statements, so a poisoned lock is usable.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((end, old)) = seen.ends.first().copied().filter(|(end, _)| *end < now) {
            seen.ends.remove(&(end, old));
            seen.marks.remove(&old);
        }
        if seen.marks.contains(&mark) {
            return Err(replayed());
        }
        if seen.marks.len() >= most {
            return Err(Fault::unavailable(
                "too many logins in the last minutes; try again in a minute",
            ));
        }
        seen.marks.insert(mark);
        seen.ends.insert((until, mark));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use keysherd_base::FaultKind;

    use super::*;

    #[test]
    fn a_thing_is_taken_once_until_it_may_be_forgotten() {
        let replays = Replays::default();
        let take = |what: &str, now, until| {
            let taken = replays.take(what.as_bytes(), Timestamp(now), Timestamp(until));
            taken.map_err(|fault| fault.kind())
        };
        assert_eq!(take("long", 0, 100), Ok(()));
        assert_eq!(take("short", 0, 10), Ok(()));
        assert_eq!(take("short", 10, 20), Err(FaultKind::Unauthorized));
        // What ends early is forgotten although what came before it is not.
        assert_eq!(take("short", 11, 20), Ok(()));
        assert_eq!(take("long", 100, 200), Err(FaultKind::Unauthorized));
        assert_eq!(take("long", 101, 200), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let replays = Replays::default();
        let take = |what: &str, now| {
            let until = Timestamp(now + 10);
            let taken = replays.take_bounded(what.as_bytes(), Timestamp(now), until, 2);
            taken.map_err(|fault| fault.kind())
        };
        assert_eq!(take("a", 0), Ok(()));
        assert_eq!(take("b", 5), Ok(()));
        assert_eq!(take("c", 6), Err(FaultKind::Unavailable));
        assert_eq!(take("a", 6), Err(FaultKind::Unauthorized));
        assert_eq!(take("c", 11), Ok(()));
    }
}
