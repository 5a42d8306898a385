//! What this gateway remembers of each fragment manager: how fast it answers, whether it failed
//! not long ago, and whether it lied. It decides whom a read asks first and when it asks the rest.
//!
//! Nothing of this is trusted: a manager that is passed over is still asked when others fail, and
//! what is right is decided by commitments and proofs alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_fragments::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Answer times remembered of each manager.
const TIMES_MAX: usize = 64;
/// Answer times known before they say anything.
const TIMES_MIN: usize = 8;
/// When the rest is asked while too little is known.
const HEDGE_UNKNOWN: Duration = Duration::from_millis(100);
/// The rest is never asked sooner: a disk write of a manager may take this long.
const HEDGE_MIN: Duration = Duration::from_millis(10);
/// The rest is never asked later.
const HEDGE_MAX: Duration = Duration::from_millis(500);
/// How long a manager goes last after its first failure; doubles with each further one.
const PASSED_OVER_MIN: Duration = Duration::from_millis(500);
/// How long a manager goes last at most, before it is tried again.
const PASSED_OVER_MAX: Duration = Duration::from_secs(60);

/// What one manager was caught at or failed in, since this gateway started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManagerHealth {
    /// Answers that could be used.
    pub answers: u64,
    /// Requests without an answer in time, or with one that could not be read.
    pub failures: u64,
    /// Requests it refused.
    pub refusals: u64,
    /// How often others were asked because it was slow.
    pub overtaken: u64,
    /// Wrong values it was proven to have given.
    pub lies: u64,
    /// Writes refused because it and another one contradicted each other; one of them lied.
    pub contradictions: u64,
    /// The time within which 95 of 100 of its last answers came, in microseconds; 0: not known.
    pub p95_micros: u64,
    /// Whether it goes last at this moment.
    pub passed_over: bool,
}

/// What became of one request to a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It answered.
    Answered,
    /// It refused, which says nothing about its health.
    Refused,
    /// It did not answer.
    Failed,
}

#[derive(Default)]
struct Record {
    health: ManagerHealth,
    times: VecDeque<Duration>,
    strikes: u32,
    last_until: Option<Instant>,
}

/// The memory.
#[derive(Default)]
pub(crate) struct Health {
    managers: [Mutex<Record>; MANAGERS_MAX as usize],
    /// The last hedge delay in microseconds: what came later than that was late.
    delay_micros: AtomicU64,
}

impl Health {
    /// Takes down what became of a request.
    pub(crate) fn record(&self, manager: ManagerIndex, attempt: Attempt, took: Duration) {
        let late = Duration::from_micros(self.delay_micros.load(Ordering::Relaxed)).max(HEDGE_MIN);
        let mut record = self.of(manager);
        match attempt {
            Attempt::Answered => {
                record.health.answers += 1;
                record.remember(took);
                // An answer that came late does not make up for its lateness.
                if took <= late {
                    record.strikes = 0;
                    record.last_until = None;
                }
            }
            Attempt::Refused => record.health.refusals += 1,
            Attempt::Failed => {
                record.health.failures += 1;
                record.pass_over();
            }
        }
    }

    /// Takes down that others were asked in place of these, which have not answered yet.
    pub(crate) fn overtaken(&self, managers: ManagerSet) {
        for manager in managers.iter() {
            let mut record = self.of(manager);
            record.health.overtaken += 1;
            record.pass_over();
        }
    }

    /// Takes down that these gave wrong values.
    pub(crate) fn lied(&self, managers: ManagerSet) {
        for manager in managers.iter() {
            let mut record = self.of(manager);
            record.health.lies += 1;
            record.pass_over();
        }
    }

    /// Takes down that these contradicted each other.
    pub(crate) fn contradicted(&self, managers: ManagerSet) {
        for manager in managers.iter() {
            self.of(manager).health.contradictions += 1;
        }
    }

    /// Those that go last at this moment.
    pub(crate) fn passed_over(&self) -> ManagerSet {
        let all = ManagerSet::first(MANAGERS_MAX);
        all.iter().filter(|manager| self.of(*manager).is_last()).collect()
    }

    /// The managers a read asks first: `t` that did not fail not long ago, by turns. Neighbors when
    /// all are well, whose answers combine fastest.
    pub(crate) fn first(&self, threshold: Threshold, turn: usize) -> ManagerSet {
        let (all, t) = (threshold.managers(), threshold.t());
        let well = all.minus(self.passed_over());
        let start = |count: u8| turn % usize::from(count.saturating_sub(t) + 1);
        if well.len() >= t {
            return well.iter().skip(start(well.len())).take(usize::from(t)).collect();
        }
        // Too few are well: those whose time of being last ends soonest come with them.
        let mut others: Vec<_> = all.minus(well).iter().collect();
        others.sort_by_key(|manager| self.of(*manager).last_until);
        let missing = usize::from(t - well.len());
        others.into_iter().take(missing).fold(well, ManagerSet::with)
    }

    /// How long a read waits for the managers it asked first before it asks the rest: twice the
    /// time in which 95 of 100 answers of the `t`-th fastest manager come, within bounds. A slow
    /// manager does not make it longer.
    pub(crate) fn hedge_delay(&self, threshold: Threshold) -> Duration {
        let known = threshold.managers().iter().map(|manager| self.of(manager).health.p95_micros);
        let mut known: Vec<_> = known.filter(|micros| *micros > 0).collect();
        known.sort_unstable();
        let delay = match known.get(usize::from(threshold.t()) - 1) {
            Some(micros) => Duration::from_micros(2 * micros).clamp(HEDGE_MIN, HEDGE_MAX),
            None => HEDGE_UNKNOWN,
        };
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delay_micros.store(micros, Ordering::Relaxed);
        delay
    }

    /// What is remembered of `manager`.
    pub(crate) fn snapshot(&self, manager: ManagerIndex) -> ManagerHealth {
        let record = self.of(manager);
        ManagerHealth { passed_over: record.is_last(), ..record.health }
    }

    fn of(&self, manager: ManagerIndex) -> MutexGuard<'_, Record> {
        let record = self.managers.get(manager.place());
        let record = record.expect("invariant: an index is within the most managers there are");
        // Counters are whole whatever happened to who held them.
        record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn remember(&mut self, took: Duration) {
        if self.times.len() == TIMES_MAX {
            self.times.pop_front();
        }
        self.times.push_back(took);
        // Often enough: one answer changes little.
        if self.times.len() >= TIMES_MIN && self.health.answers.is_multiple_of(4) {
            let mut sorted: Vec<_> = self.times.iter().copied().collect();
            sorted.sort_unstable();
            let at = sorted.len() * 95 / 100;
            let micros = sorted.get(at).map_or(0, Duration::as_micros);
            self.health.p95_micros = u64::try_from(micros).unwrap_or(u64::MAX / 4).max(1);
        }
    }

    fn pass_over(&mut self) {
        let doubled = PASSED_OVER_MIN * 2_u32.pow(self.strikes.min(7));
        self.strikes += 1;
        self.last_until = Some(Instant::now() + doubled.min(PASSED_OVER_MAX));
    }

    fn is_last(&self) -> bool {
        self.last_until.is_some_and(|until| Instant::now() < until)
    }
}
