//! What one account may have of reading ahead: a share of what is kept for it, and of its reads.
//! Nobody waits for them, and no limit of requests counts them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_base::Uid;

use crate::moment::Moment;

/// Which part of all items that are kept may be read ahead for one account: an eighth.
const PART: u64 = 8;
/// Reads that are made for one account in a minute, at most.
pub(super) const READS_PER_MINUTE_MAX: u32 = 6_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The shares.
pub(in crate::cache) struct Turns {
    entries_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Entries of each account that can be read again.
    entries: HashMap<Uid, usize>,
    /// When the last minute of each began, and the reads in it.
    minutes: HashMap<Uid, (Moment, u32)>,
}

impl Turns {
    /// Of a cache of so many items.
    pub(in crate::cache) fn new(items_max: u64) -> Self {
        let entries_max = usize::try_from(items_max / PART).unwrap_or(usize::MAX).max(1);
        Self { entries_max, state: Mutex::default() }
    }

    /// One more entry of this account, if it has not its share yet.
    pub(in crate::cache) fn take_in(&self, account: Uid) -> bool {
        let mut state = self.state();
        let entries = state.entries.entry(account).or_default();
        let takes = *entries < self.entries_max;
        *entries += usize::from(takes);
        takes
    }

    /// So many there are: entries go without a word.
    pub(super) fn count_anew(&self, entries: HashMap<Uid, usize>) {
        let mut state = self.state();
        state.minutes.retain(|account, _| entries.contains_key(account));
        state.entries = entries;
    }

    /// One more read for this account, if it had not too many in this minute.
    pub(super) fn may_read(&self, account: Uid, now: Moment) -> bool {
        let mut state = self.state();
        let (began, reads) = state.minutes.entry(account).or_insert((now, 0));
        if now.since(*began).is_none_or(|age| age >= MINUTE) {
            (*began, *reads) = (now, 0);
        }
        let may = *reads < READS_PER_MINUTE_MAX;
        *reads += u32::from(may);
        may
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever broke off in the middle has at most counted wrong for a moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
