//! What has ended, and whether control was heard of a moment ago. Pure: time is handed in.
//!
//! The promise that is kept: *a read that is answered by a kept decision gives what control would
//! have decided less than [`LEASE`] ago, and knows every change that this gateway answered before.*
//!
//! - Each answer to a question tells how things were no earlier than the question was sent, plus
//!   the time that control held it. From then on the lease runs; without another answer it ends,
//!   and every read asks again.
//! - A decision is kept only if it knows every change that was heard of by then; what is heard of
//!   later ends what it ends.
//! - Numbers of another process of control mean nothing: hearing another one ends everything.
//! - Time is measured by two clocks ([`Moment`]): a machine that slept has a clock that jumped.
//! - Whatever was asked for before everything was forgotten here is not kept afterwards.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use keysherd_base::Uid;
use keysherd_plane::cache::{ChangesReply, Keep, Tie};

use crate::moment::Moment;

#[cfg(test)]
mod tests;

/// How long an answer lets kept decisions be used.
pub(super) const LEASE: Duration = Duration::from_millis(900);
/// Ties known before those that nothing hangs on are looked for.
const TIES_SWEPT_MIN: usize = 1_024;

/// When things were as known, at the earliest.
#[derive(Clone, Copy, Debug)]
struct Confirmed {
    /// When the question was sent.
    asked: Moment,
    /// How long control held it.
    held: Duration,
}

impl Confirmed {
    fn run(self) -> Duration {
        self.asked.run + self.held
    }

    /// How long ago that was; `None` when a clock went back, or control says that it held the
    /// question for longer than there was.
    fn age(self, now: Moment) -> Option<Duration> {
        now.since(self.asked)?.checked_sub(self.held)
    }
}

/// What one decision hangs on. Most are about one item, and have four ties: they take no room of
/// their own.
pub(crate) enum Tied {
    Four([Arc<AtomicBool>; 4]),
    Others(Box<[Arc<AtomicBool>]>),
}

impl Tied {
    /// To this alone.
    pub(super) fn to(tie: Arc<AtomicBool>) -> Self {
        Self::Others(Box::new([tie]))
    }

    /// Whether none of it has ended.
    pub(super) fn holds(&self) -> bool {
        let ties: &[_] = match self {
            Self::Four(ties) => ties,
            Self::Others(ties) => ties,
        };
        ties.iter().all(|tie| tie.load(Ordering::Acquire))
    }
}

/// The state.
#[derive(Default)]
pub(super) struct Coherence {
    /// The process of control that was heard last.
    source: Option<Uid>,
    /// The last change of it that is known.
    number: u64,
    confirmed: Option<Confirmed>,
    /// When something may have changed through this gateway last.
    changed_here: Option<Duration>,
    /// When a change through this gateway was answered as done last.
    done_here: Option<Duration>,
    /// When everything was forgotten by this gateway's own will.
    forgotten: Option<Duration>,
    ties: HashMap<Tie, Weak<AtomicBool>>,
    swept: usize,
    /// Whether something ended since that was asked last.
    has_ended: bool,
}

impl Coherence {
    /// What to ask: the process that was heard last (zero: none), and its last change.
    pub(super) fn known(&self) -> (Uid, u64) {
        (self.source.unwrap_or_default(), self.number)
    }

    /// Takes in the answer to a question that was sent at `asked`. Answers may come in any order.
    pub(super) fn heard(&mut self, asked: Moment, reply: &ChangesReply) {
        let held = Duration::from_millis(reply.held_millis.into());
        let confirmed = Confirmed { asked, held };
        let is_newer = self.confirmed.is_none_or(|before| before.run() < confirmed.run());
        if self.source != Some(reply.source) {
            // A late word of a process that was followed by another one.
            if !is_newer {
                return;
            }
            self.forget();
            self.source = Some(reply.source);
            self.number = reply.newest;
        } else if let Some(ended) = &reply.ended {
            for tie in ended {
                self.end(tie);
            }
        } else {
            self.forget();
            self.source = Some(reply.source);
        }
        self.number = self.number.max(reply.newest);
        if is_newer {
            self.confirmed = Some(confirmed);
        }
    }

    /// Ends everything.
    pub(super) fn forget(&mut self) {
        for (_, tie) in self.ties.drain() {
            self.has_ended = true;
            tie.upgrade().iter().for_each(|tie| tie.store(false, Ordering::Release));
        }
        self.swept = 0;
        // What is on its way was decided before, or by somebody else.
        self.source = None;
    }

    /// Ends everything, also what is on its way at `now`.
    pub(super) fn forget_until(&mut self, now: Moment) {
        self.forget();
        self.forgotten = self.forgotten.max(Some(now.run));
    }

    /// Something may have changed through this gateway, and was answered at `now`; `done`: as
    /// done.
    pub(super) fn changed_here(&mut self, now: Moment, done: bool) {
        self.changed_here = self.changed_here.max(Some(now.run));
        if done {
            self.done_here = self.done_here.max(Some(now.run));
        }
    }

    /// How long control was silent, for a decision that was asked for at `asked`; `None` when it
    /// was never heard, a clock went back, or a change that was answered here is not known to be
    /// in the decision. What may have changed without being answered does not count: nobody was
    /// told that it is in force.
    pub(super) fn silent(&self, asked: Moment, now: Moment) -> Option<Duration> {
        let confirmed = self.confirmed?;
        let after = |at: Duration| self.done_here.is_none_or(|done| at > done);
        let age = confirmed.age(now)?;
        (after(asked.run) || after(confirmed.run())).then_some(age)
    }

    /// Whether control was heard of a moment ago.
    pub(super) fn is_alive(&self, now: Moment) -> bool {
        let age = self.confirmed.and_then(|confirmed| confirmed.age(now));
        age.is_some_and(|age| age < LEASE)
    }

    /// Whether control has not confirmed anything since the last change through this gateway.
    pub(super) fn needs_confirmation(&self) -> bool {
        let confirmed = self.confirmed.map(Confirmed::run);
        self.changed_here.is_some_and(|changed| confirmed.is_none_or(|at| at <= changed))
    }

    /// Whether a decision that was asked for at `asked` may be used, as far as it is not ended:
    /// control was heard of, and since the last change of this gateway's own either the decision
    /// was asked for or control has confirmed it.
    pub(super) fn covers(&self, asked: Moment, now: Moment) -> bool {
        let Some(confirmed) = self.confirmed else { return false };
        let after = |at: Duration| self.changed_here.is_none_or(|changed| at > changed);
        self.is_alive(now) && (after(asked.run) || after(confirmed.run()))
    }

    /// Ties a decision that was asked for at `asked`, if it knows all that was heard of and nothing
    /// was forgotten since.
    pub(super) fn tie(&mut self, keep: &Keep, asked: Moment) -> Option<Tied> {
        let is_forgotten = self.forgotten.is_some_and(|forgotten| asked.run <= forgotten);
        if is_forgotten || self.source != Some(keep.source) || keep.number < self.number {
            return None;
        }
        self.sweep();
        let flag = |tie: &Tie| {
            let known = self.ties.get(tie).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let flag = Arc::new(AtomicBool::new(true));
                self.ties.insert(*tie, Arc::downgrade(&flag));
                flag
            })
        };
        let ties: Vec<_> = keep.ties.iter().map(flag).collect();
        Some(ties.try_into().map_or_else(|ties: Vec<_>| Tied::Others(ties.into()), Tied::Four))
    }

    fn end(&mut self, tie: &Tie) {
        if let Some(flag) = self.ties.remove(tie).and_then(|flag| flag.upgrade()) {
            flag.store(false, Ordering::Release);
            self.has_ended = true;
        }
    }

    /// Whether something that was kept has ended since the last call.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.has_ended)
    }

    /// Drops ties that nothing hangs on any more, now and then.
    fn sweep(&mut self) {
        if self.ties.len() >= TIES_SWEPT_MIN.max(self.swept * 2) {
            self.ties.retain(|_, flag| flag.strong_count() > 0);
            self.swept = self.ties.len();
        }
    }
}
