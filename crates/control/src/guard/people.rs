//! Wrong logins of people: how many, and until when they are locked.
//!
//! Memory is what decides, and it follows the store, where every node counts. A login that is being
//! tried holds a place among the tries that are left, so that many at once are not more guesses
//! than many in a row; other nodes do not see that place, so that each of several has its own tries
//! for those that are under way at the same moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_base::Timestamp;
use keysherd_store::login_guards::{Counting, GuardRow, PlaceRow};

use super::{Cleared, Trying};

/// Wrong logins before the first lock.
pub(crate) const FREE_TRIES: u32 = 5;
/// How long the first lock lasts, in seconds; each further wrong login doubles it.
pub(crate) const FIRST_LOCK_SECONDS: i64 = 60;
/// The longest lock, in seconds.
pub(crate) const LONGEST_LOCK_SECONDS: i64 = 3_600;
/// After this many seconds without a wrong login everything is forgiven.
pub(crate) const FORGET_SECONDS: i64 = 24 * 3_600;
/// Days for which a place is known to be a person's.
pub(crate) const PLACE_DAYS: i64 = 30;

const DAY_SECONDS: i64 = 24 * 3_600;
/// How the store counts.
pub(crate) const COUNTING: Counting = Counting { lock_seconds, forget_seconds: FORGET_SECONDS };
/// How the store counts what is under the very name, which is never locked by itself.
pub(crate) const COUNTING_SPELLED: Counting = Counting { lock_seconds: |_| None, ..COUNTING };
/// Places known of one person.
const PLACES_MAX: usize = 16;
/// Subjects that are remembered. Whoever wants to have one forgotten has to get this many locked.
pub(crate) const SUBJECTS_MAX: usize = 100_000;

type Subject = [u8; 32];

/// Everybody with wrong logins, and where people sign in from.
pub(crate) struct People(Mutex<State>);

#[derive(Default)]
struct State {
    subjects: HashMap<Subject, Tries>,
    places: HashMap<Subject, Vec<(Subject, Timestamp)>>,
}

#[derive(Clone, Copy, Default)]
struct Tries {
    failures: u32,
    locked_until: Timestamp,
    last_failure: Timestamp,
    /// Being tried right now.
    pending: u32,
}

impl Tries {
    fn row(&self, subject: Subject) -> GuardRow {
        let Self { failures, locked_until, last_failure, .. } = *self;
        GuardRow { subject, failures, locked_until, last_failure }
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.pending == 0
            && now >= self.locked_until
            && now >= self.last_failure.plus_seconds(FORGET_SECONDS)
    }
}

impl People {
    /// What the store kept, as of `now`.
    pub(super) fn new(guards: Vec<GuardRow>, places: Vec<PlaceRow>, now: Timestamp) -> Self {
        Self(Mutex::new(State::of(guards, places, now)))
    }

    /// Forgets everything, for what the store has by now.
    pub(super) fn replace(&self, guards: Vec<GuardRow>, places: Vec<PlaceRow>, now: Timestamp) {
        let mut state = self.state();
        let before = std::mem::replace(&mut *state, State::of(guards, places, now));
        for (subject, tries) in before.subjects.into_iter().filter(|(_, tries)| tries.pending > 0) {
            state.subjects.entry(subject).or_default().pending = tries.pending;
        }
    }

    /// Takes over what the store has of a subject by now.
    pub(super) fn follow(
        &self,
        subject: Subject,
        row: Option<GuardRow>,
        places: &[PlaceRow],
        now: Timestamp,
    ) {
        let mut state = self.state();
        if row.is_some() {
            // Wrong logins at other nodes are of made-up names as well.
            state.make_room(&subject, now);
        }
        let known = state.subjects.get(&subject).copied().unwrap_or_default();
        match row {
            // What memory has beyond it is on its way to the store.
            Some(row)
                if known.failures > row.failures && known.last_failure >= row.last_failure => {}
            Some(GuardRow { failures, locked_until, last_failure, .. }) => {
                let pending = known.pending;
                let tries = Tries { failures, locked_until, last_failure, pending };
                state.subjects.insert(subject, tries);
            }
            None if known.pending == 0 => drop(state.subjects.remove(&subject)),
            None => {
                let tries = Tries { pending: known.pending, ..Tries::default() };
                state.subjects.insert(subject, tries);
            }
        }
        let places: Vec<_> = places.iter().map(|row| (row.place, row.seen)).collect();
        match places.is_empty() {
            true => drop(state.places.remove(&subject)),
            false => drop(state.places.insert(subject, places)),
        }
    }

    /// What wrong logins are counted under: the subject, or the place when it is one of the very
    /// name's.
    pub(super) fn counted_under(&self, trying: &Trying, now: Timestamp) -> Subject {
        let state = self.state();
        let own = state.places.get(&trying.spelling).is_some_and(|places| {
            places.iter().any(|(known, seen)| *known == trying.place && is_lately(*seen, now))
        });
        if own { trying.place } else { trying.subject }
    }

    /// Takes one of the tries that are left.
    ///
    /// # Errors
    /// When there may be one again.
    pub(super) fn reserve(&self, counted: Subject, now: Timestamp) -> Result<(), Timestamp> {
        let mut state = self.state();
        state.make_room(&counted, now);
        let tries = state.subjects.entry(counted).or_default();
        if tries.is_forgotten(now) {
            *tries = Tries::default();
        }
        if now < tries.locked_until {
            return Err(tries.locked_until);
        }
        // After the free ones, one at a time.
        let left = FREE_TRIES.saturating_sub(tries.failures).max(1);
        if tries.pending >= left {
            return Err(now.plus_seconds(1));
        }
        tries.pending += 1;
        Ok(())
    }

    /// Gives a try back that was not one.
    pub(super) fn release(&self, counted: Subject) {
        let mut state = self.state();
        if let Some(tries) = state.subjects.get_mut(&counted) {
            tries.pending = tries.pending.saturating_sub(1);
            if tries.failures == 0 && tries.pending == 0 {
                state.subjects.remove(&counted);
            }
        }
    }

    /// Counts a wrong login; gives what is to be kept of what it is counted under, and of the very
    /// name where others are counted with it.
    pub(super) fn wrong(
        &self,
        trying: &Trying,
        now: Timestamp,
    ) -> (Option<GuardRow>, Option<GuardRow>) {
        let Some(counted) = trying.person else { return (None, None) };
        let mut state = self.state();
        let tries = state.subjects.entry(counted).or_default();
        tries.pending = tries.pending.saturating_sub(1);
        tries.failures = tries.failures.saturating_add(1);
        tries.last_failure = now;
        if let Some(seconds) = lock_seconds(tries.failures) {
            tries.locked_until = tries.locked_until.max(now.plus_seconds(seconds));
        }
        let row = tries.row(counted);
        let spelled = trying.counted_with_others().then(|| {
            state.make_room(&trying.spelling, now);
            let tries = state.subjects.entry(trying.spelling).or_default();
            if tries.is_forgotten(now) {
                *tries = Tries::default();
            }
            tries.failures = tries.failures.saturating_add(1);
            tries.last_failure = now;
            tries.row(trying.spelling)
        });
        (Some(row), spelled)
    }

    /// Forgives what was wrong under the very name, and remembers the place; gives what changed.
    pub(super) fn good(&self, trying: &Trying, now: Timestamp) -> Cleared {
        let Some(counted) = trying.person else { return Cleared::default() };
        let mut state = self.state();
        let mut cleared = state.forgive(trying, counted, now);
        let (spelling, place) = (trying.spelling, trying.place);
        let places = state.places.entry(spelling).or_default();
        let fresh = |seen: &Timestamp| now < seen.plus_seconds(DAY_SECONDS);
        if places.iter().any(|(known, seen)| *known == place && fresh(seen)) {
            return cleared;
        }
        places.retain(|(known, _)| *known != place);
        if places.len() >= PLACES_MAX {
            let oldest = (0..places.len()).min_by_key(|index| places[*index].1).unwrap_or(0);
            cleared.dropped = Some(places.swap_remove(oldest).0);
        }
        places.push((place, now));
        cleared.place = Some(PlaceRow { subject: spelling, place, seen: now });
        cleared
    }

    /// Subjects that are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().subjects.len()
    }

    /// Forgets what is over.
    pub(super) fn forget(&self, now: Timestamp) {
        self.state().forget(now);
    }

    /// Everything here is consistent between any two statements, so a poisoned lock is usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(guards: Vec<GuardRow>, places: Vec<PlaceRow>, now: Timestamp) -> Self {
        let mut state = Self::default();
        for row in guards {
            let GuardRow { subject, failures, locked_until, last_failure } = row;
            let tries = Tries { failures, locked_until, last_failure, pending: 0 };
            state.subjects.insert(subject, tries);
        }
        for row in places {
            state.places.entry(row.subject).or_default().push((row.place, row.seen));
        }
        state.forget(now);
        state.keep_most(SUBJECTS_MAX);
        state
    }

    /// Takes from `counted` the wrong logins under the very name. Those under names that look like
    /// it stay: whoever has such a name could else guess for ever, with a good login of theirs
    /// after every four guesses.
    fn forgive(&mut self, trying: &Trying, counted: Subject, now: Timestamp) -> Cleared {
        let mut cleared = Cleared::default();
        let own = if trying.counted_with_others() {
            let spelled = self.subjects.remove(&trying.spelling);
            cleared.spelled = spelled.map(|_| trying.spelling);
            spelled.filter(|tries| !tries.is_forgotten(now)).map_or(0, |tries| tries.failures)
        } else {
            u32::MAX
        };
        let Some(tries) = self.subjects.get_mut(&counted) else { return cleared };
        let had = tries.failures;
        tries.pending = tries.pending.saturating_sub(1);
        tries.failures = had.saturating_sub(own);
        if tries.failures > 0 {
            cleared.left = (own > 0).then(|| tries.row(counted));
            return cleared;
        }
        // Others may be tried right now, whose outcome must still find its place.
        *tries = Tries { pending: tries.pending, ..Tries::default() };
        if tries.pending == 0 {
            self.subjects.remove(&counted);
        }
        cleared.forgiven = (had > 0).then_some(counted);
        cleared
    }

    fn forget(&mut self, now: Timestamp) {
        self.subjects.retain(|_, tries| !tries.is_forgotten(now));
        self.places.retain(|_, places| {
            places.retain(|(_, seen)| is_lately(*seen, now));
            !places.is_empty()
        });
    }

    /// Makes room for `counted` when it is new: first goes what is over, then those with the
    /// fewest wrong logins.
    fn make_room(&mut self, counted: &Subject, now: Timestamp) {
        if self.subjects.len() < SUBJECTS_MAX || self.subjects.contains_key(counted) {
            return;
        }
        self.forget(now);
        // A tenth at a time, so that this is not done for each of a flood.
        self.keep_most(SUBJECTS_MAX - SUBJECTS_MAX / 10);
    }

    /// Forgets those with the fewest wrong logins beyond `wanted`.
    fn keep_most(&mut self, wanted: usize) {
        for fewest in 0..=u32::MAX {
            if self.subjects.len() <= wanted {
                return;
            }
            let mut surplus = self.subjects.len() - wanted;
            self.subjects.retain(|_, tries| {
                let goes = surplus > 0 && tries.failures <= fewest && tries.pending == 0;
                surplus -= usize::from(goes);
                !goes
            });
            if fewest > FREE_TRIES + 16 {
                return;
            }
        }
    }
}

fn is_lately(seen: Timestamp, now: Timestamp) -> bool {
    now < seen.plus_seconds(PLACE_DAYS * DAY_SECONDS)
}

/// How long the lock lasts that the `failures`-th wrong login in a row brings.
pub(crate) fn lock_seconds(failures: u32) -> Option<i64> {
    let doublings = failures.checked_sub(FREE_TRIES)?.min(16);
    Some((FIRST_LOCK_SECONDS << doublings).min(LONGEST_LOCK_SECONDS))
}
