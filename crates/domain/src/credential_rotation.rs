//! The life of one rotated secret: new credentials that are stored before anybody sets them, set on
//! the target, tried out, and only then those that people read.
//!
//! The new ones are a [`Candidate`]: durable, and read by nobody. As long as there is one, nobody
//! knows for certain which credentials the target takes. So whoever goes on after a crash tries
//! both, and sets *the same* candidate again where the old ones still sign in; another one would
//! let a gateway that was frozen, and wakes up, set what nobody has stored any more. A candidate is
//! dropped only when the target is known not to have it, and nobody who was never heard of again
//! could still set it ([`QUIET_SECONDS`]).
//!
//! Work is given to one gateway for [`WORK_SECONDS`], which it may prolong; who does not report in
//! time is followed by another one. (Wrapping keys anew is something else.)

mod parts;

use keysherd_base::{AccessId, ItemPath, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::parts::{
    Asked, Attempt, Busy, Candidate, Failure, Outcome, Reason, Retiring, Setback, Taken, Task,
};
use crate::rotated_secret::RotationFacts;

#[cfg(test)]
mod tests;

/// Longest description of a failure that is kept, in bytes.
pub const ERROR_BYTES_MAX: usize = 500;
/// How long a gateway has to itself what it took, in seconds, unless it prolongs that: whoever dies
/// is followed within ten.
pub const WORK_SECONDS: i64 = 9;
/// How long it can have that by prolonging, in seconds from when it took it. An attempt must end
/// sooner.
pub const HELD_SECONDS_MAX: i64 = 300;
/// For how long a gateway that was not heard of again may still do something, in seconds from when
/// it took its work.
pub const QUIET_SECONDS: i64 = 900;
/// For how long what may have been set is kept where the target lets nobody in, neither with it nor
/// with what was before, in seconds.
const LOCKED_SECONDS: i64 = 86_400;
/// Failures in a row before nobody tries any more until the next date. A candidate is never given
/// up.
pub const TRIES_MAX: u32 = 8;
/// As many of them as are left when a target refuses whom was to be signed in there: servers lock
/// accounts after a few of these, most for less than the longest pause.
const REFUSALS_MAX: u32 = 3;
/// Longest pause between two attempts, in seconds.
const PAUSE_SECONDS_MAX: i64 = 3_600;

/// The rotations of one secret: nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRotation {
    /// When something is to be done next; `None`: never by itself.
    #[serde(skip)]
    pub due: Option<Timestamp>,
    /// When the credentials change by themselves next.
    pub next: Option<Timestamp>,
    /// When people are to be told of that, the first time first.
    #[serde(default)]
    pub notices: Vec<Timestamp>,
    /// A rotation out of turn.
    pub asked: Option<Asked>,
    /// When hosts are tried again that the last rotation did not reach, if there are any.
    #[serde(default)]
    pub hosts: Option<Timestamp>,
    /// What is to be removed.
    pub retiring: Option<Retiring>,
    /// Who is at work.
    pub taken: Option<Taken>,
    /// What is stored but not known to be set.
    pub candidate: Option<Candidate>,
    /// The number of the last attempt, from 1. Never the same twice.
    pub attempt: u32,
    /// Failures in a row.
    pub tries: u32,
    /// Until when nothing is tried again after a failure.
    pub pause_until: Option<Timestamp>,
    /// Until when nothing new is begun, as somebody may still set what is stored now.
    pub quiet_until: Option<Timestamp>,
    /// When the secret was made.
    pub made: Timestamp,
    /// When its credentials changed last.
    pub rotated: Option<Timestamp>,
    /// What came of the last rotation.
    pub outcome: Outcome,
    /// Why the last attempt failed, or on which hosts; empty: it did not.
    #[serde(default)]
    pub last_error: String,
    /// On whose behalf keys are derived: who set this up, or changed it last.
    pub access_id: AccessId,
}

impl CredentialRotation {
    /// Those of a new secret.
    pub fn new(facts: &RotationFacts, access_id: AccessId, now: Timestamp) -> Self {
        let mut new = Self {
            due: None,
            next: None,
            notices: Vec::new(),
            asked: None,
            hosts: None,
            retiring: None,
            taken: None,
            candidate: None,
            attempt: 0,
            tries: 0,
            pause_until: None,
            quiet_until: None,
            made: now,
            rotated: None,
            outcome: Outcome::None,
            last_error: String::new(),
            access_id,
        };
        new.reschedule(facts, now);
        new
    }

    /// Follows a changed schedule. What failed is tried again at once.
    pub fn reschedule(&mut self, facts: &RotationFacts, now: Timestamp) {
        let next = match self.rotated {
            Some(rotated) => facts.next(rotated),
            None => facts.first(self.made),
        };
        self.plan(facts, next, now);
        self.tries = 0;
        self.pause_until = None;
        self.hosts = self.hosts.map(|at| at.min(now));
        self.settle();
    }

    fn plan(&mut self, facts: &RotationFacts, next: Option<Timestamp>, now: Timestamp) {
        self.next = next;
        self.notices = next.map(|next| facts.told_of(next, now)).unwrap_or_default();
    }

    /// Whether it is time to tell people when the credentials change; they are not told again of
    /// what has been told by this.
    pub fn tell(&mut self, now: Timestamp) -> bool {
        let before = self.notices.len();
        self.notices.retain(|at| now < *at);
        self.settle();
        self.notices.len() < before
    }

    /// Asks for a rotation out of turn, as soon as can be or at `at`. One that was asked for before
    /// stays where it is sooner.
    pub fn ask(&mut self, reason: Reason, at: Timestamp) {
        if self.asked.is_none_or(|asked| at < asked.at) {
            self.asked = Some(Asked { at, reason });
        }
        self.settle();
    }

    /// Has nothing begun before `until`. Does not keep anybody from finding out what became of a
    /// candidate.
    pub fn postpone(&mut self, until: Timestamp) {
        if self.candidate.is_none() {
            self.pause_until = self.pause_until.max(Some(until));
        }
        self.settle();
    }

    /// Goes on with what waited for a lock that has ended, and asks for a rotation if `rotate`.
    pub fn unlocked(&mut self, rotate: bool, now: Timestamp) {
        if self.tries == 0 {
            self.pause_until = None;
        }
        if rotate {
            self.ask(Reason::Unlock, now);
        }
        self.settle();
    }

    /// Whether somebody is at work, or has left it unfinished.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        self.candidate.is_some() || self.taken.is_some_and(|taken| now < taken.until)
    }

    /// Gives what is due to `gateway`. `None` where nothing is, or nobody tries any more.
    pub fn take(
        &mut self,
        facts: &RotationFacts,
        gateway: &[u8; 32],
        now: Timestamp,
    ) -> Option<Attempt> {
        let rests = |this: &Self| this.work_due().is_none_or(|due| now < due);
        if rests(self) {
            return None;
        }
        self.miss(facts, now);
        // That may have put it off.
        if rests(self) {
            return None;
        }
        let come = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let task = match (&self.candidate, self.retiring, self.asked) {
            (Some(candidate), ..) => Task::Change(candidate.reason),
            // Two generations of old credentials are never there at one time.
            (None, Some(old), _) => Task::Retire(old.version),
            (None, None, Some(asked)) if come(Some(asked.at)) => Task::Change(asked.reason),
            // A rotation of all hosts is one of those, too.
            (None, None, _) if come(self.hosts) && !come(self.next) => Task::Change(Reason::Hosts),
            (None, None, _) => Task::Change(Reason::Scheduled),
        };
        Some(self.give(task, gateway, now))
    }

    /// Gives a rotation to `gateway` at once, whatever is due. Where an earlier one has not come to
    /// an end, or old credentials have to go first, that is the work.
    ///
    /// # Errors
    /// Why not.
    pub fn begin(
        &mut self,
        facts: &RotationFacts,
        reason: Reason,
        gateway: &[u8; 32],
        now: Timestamp,
    ) -> Result<Attempt, Busy> {
        if let Some(taken) = self.taken.filter(|taken| now < taken.until) {
            return Err(Busy::Working(taken.until));
        }
        self.miss(facts, now);
        let task = match (&self.candidate, self.retiring) {
            (Some(_), _) if matches!(reason, Reason::Rollback(_)) => return Err(Busy::Unfinished),
            (Some(candidate), _) => Task::Change(candidate.reason),
            (None, Some(old)) => Task::Retire(old.version),
            (None, None) => Task::Change(reason),
        };
        match self.quiet_until.filter(|until| self.candidate.is_none() && now < *until) {
            Some(until) => Err(Busy::Quiet(until)),
            None => Ok(self.give(task, gateway, now)),
        }
    }

    fn give(&mut self, task: Task, gateway: &[u8; 32], now: Timestamp) -> Attempt {
        self.attempt = self.attempt.wrapping_add(1).max(1);
        let until = now.plus_seconds(WORK_SECONDS);
        let changes = matches!(task, Task::Change(_));
        let asked = self.asked.take_if(|asked| changes && asked.at <= now);
        self.taken = Some(Taken { by: *gateway, since: now, until, task, asked });
        self.settle();
        let resumes = self.candidate.as_ref().map(|candidate| candidate.version);
        Attempt { number: self.attempt, task, resumes }
    }

    /// Notes that somebody who took this was not heard of again.
    fn miss(&mut self, facts: &RotationFacts, now: Timestamp) {
        let Some(taken) = self.taken.take() else { return };
        self.asked = self.asked.or(taken.asked);
        match &mut self.candidate {
            Some(candidate) => candidate.doubt(taken.since),
            None => {
                // It may be about to store one; that will be refused. Nothing was set.
                self.last_error = "the gateway at work was not heard of again".to_owned();
                self.outcome = Outcome::Failed;
                self.count_failure(facts, now);
                // Gateways end now and then; those that do again and again may have a reason.
                if self.tries == 1 {
                    self.pause_until = None;
                }
            }
        }
        self.settle();
    }

    /// The work, if `gateway` is at it with this attempt.
    pub fn work_of(&self, gateway: &[u8; 32], attempt: u32) -> Option<Task> {
        self.taken
            .filter(|taken| taken.by == *gateway && self.attempt == attempt)
            .map(|taken| taken.task)
    }

    /// Prolongs the time of who is at work; `None` when it cannot be longer any more.
    pub fn hold(&mut self, now: Timestamp) -> Option<Timestamp> {
        let taken = self.taken.as_mut()?;
        let last = taken.since.plus_seconds(HELD_SECONDS_MAX);
        let until = now.plus_seconds(WORK_SECONDS).min(last);
        if until <= now {
            return None;
        }
        taken.until = taken.until.max(until);
        self.settle();
        self.taken.map(|taken| taken.until)
    }

    /// Notes that credentials are stored, attested for `path`. One that is there can be stored
    /// again by whoever goes on with it.
    pub fn keep(&mut self, version: u32, path: ItemPath) -> bool {
        let Some(Taken { task: Task::Change(reason), .. }) = self.taken else { return false };
        match &mut self.candidate {
            Some(candidate) if candidate.version == version => candidate.path = path,
            Some(_) => return false,
            None => {
                self.candidate =
                    Some(Candidate { version, path, reason, unheard: None, doubted: None });
            }
        }
        true
    }

    /// Says that the candidate is what the target takes; it takes the place of version `old`.
    /// `partly`: on which hosts it does not.
    pub fn promoted(
        &mut self,
        facts: &RotationFacts,
        old: u32,
        partly: Option<&str>,
        now: Timestamp,
    ) {
        // What was asked for while this was under way is not done by it, and still asked for.
        let task = self.taken.take().map(|taken| taken.task);
        let unheard = self.candidate.take().and_then(|candidate| candidate.unheard);
        let quiet = unheard.map(|since| since.plus_seconds(QUIET_SECONDS));
        self.quiet_until = quiet.max(self.quiet_until).filter(|until| now < *until);
        self.rotated = Some(now);
        self.plan(facts, facts.next(now), now);
        self.retiring = facts.old_until(now).map(|at| Retiring { version: old, at });
        self.tries = match (partly, task) {
            (None, _) => 0,
            (Some(_), Some(Task::Change(Reason::Hosts))) => self.tries.saturating_add(1),
            (Some(_), _) => 1,
        };
        // Nobody gives up on hosts: what is stored of one may be what it took before.
        self.hosts = partly.map(|_| now.plus_seconds(pause_seconds(self.tries)));
        self.pause_until = None;
        self.outcome = if partly.is_some() { Outcome::Partly } else { Outcome::Succeeded };
        self.last_error = shortened(partly.unwrap_or_default());
        self.settle();
    }

    /// Has hosts that refuse whom was to be signed in there wait as long as anything waits, as
    /// accounts are locked for such tries.
    pub fn rest_hosts(&mut self, now: Timestamp) {
        self.hosts = self.hosts.map(|_| now.plus_seconds(PAUSE_SECONDS_MAX));
        self.settle();
    }

    /// Says that the old credentials are gone that stayed for a while.
    pub fn retired(&mut self) {
        self.taken = None;
        self.retiring = None;
        self.tries = 0;
        self.pause_until = None;
        self.settle();
    }

    /// Says that the work came to nothing, and why.
    pub fn failed(
        &mut self,
        facts: &RotationFacts,
        failure: Failure,
        error: &str,
        now: Timestamp,
    ) -> Setback {
        let taken = self.taken.take();
        self.asked = self.asked.or(taken.and_then(|taken| taken.asked));
        self.last_error = shortened(error);
        // The hosts that were reached before have theirs.
        let of_hosts = taken.is_some_and(|taken| taken.task == Task::Change(Reason::Hosts));
        self.outcome = if of_hosts { Outcome::Partly } else { Outcome::Failed };
        let over = |since: Option<Timestamp>, wait| {
            since.is_none_or(|since: Timestamp| since.plus_seconds(wait) <= now)
        };
        // An account that is locked for a while refuses everybody, too, and may have it.
        let wait = if failure == Failure::Refused { LOCKED_SECONDS } else { 0 };
        let alone = self
            .candidate
            .as_ref()
            .is_some_and(|one| over(one.unheard, QUIET_SECONDS) && over(one.doubted, wait));
        let is_known = failure != Failure::Unknown;
        let dropped = self.candidate.take_if(|_| is_known && alone);
        if let (Some(candidate), Some(taken), false) = (&mut self.candidate, taken, is_known) {
            // What it sent may still be on its way.
            candidate.doubt(taken.since);
        }
        if failure == Failure::Refused {
            self.tries = self.tries.max(TRIES_MAX - REFUSALS_MAX);
        }
        let given_up = self.count_failure(facts, now);
        if failure == Failure::Refused {
            self.pause_until = Some(now.plus_seconds(PAUSE_SECONDS_MAX));
        }
        self.settle();
        Setback { dropped: dropped.map(|candidate| candidate.version), given_up }
    }

    /// Counts a failure; whether nobody tries any more until the next date.
    fn count_failure(&mut self, facts: &RotationFacts, now: Timestamp) -> bool {
        self.tries = self.tries.saturating_add(1);
        self.pause_until = Some(now.plus_seconds(pause_seconds(self.tries)));
        let given_up = self.tries >= TRIES_MAX
            && self.candidate.is_none()
            && self.retiring.is_none()
            && self.hosts.is_none();
        if given_up {
            self.tries = 0;
            self.asked = self.asked.filter(|asked| now < asked.at);
            if self.next.is_some_and(|next| next <= now) {
                self.plan(facts, facts.next(now), now);
            }
        }
        given_up
    }

    /// Works out when something is due.
    fn settle(&mut self) {
        let notice = self.notices.first().copied();
        self.due = [self.work_due(), notice].into_iter().flatten().min();
    }

    /// When there is something to do for a gateway.
    fn work_due(&self) -> Option<Timestamp> {
        let begun = self.candidate.is_some();
        let wanted = match begun {
            true => Some(Timestamp(i64::MIN)),
            false => {
                let asked = self.asked.map(|asked| asked.at);
                let retiring = self.retiring.map(|old| old.at);
                [self.next, asked, retiring, self.hosts].into_iter().flatten().min()
            }
        };
        let quiet = self.quiet_until.filter(|_| !begun);
        let waits = wanted.map(|at| Some(at).max(self.pause_until).max(quiet));
        match self.taken {
            Some(taken) => Some(taken.until),
            None => waits.flatten(),
        }
    }
}

/// As much of a text as is kept.
fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(ERROR_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The pause after so many failures, in seconds.
fn pause_seconds(tries: u32) -> i64 {
    let pause = 5_i64.checked_shl(tries.min(32)).unwrap_or(PAUSE_SECONDS_MAX);
    pause.min(PAUSE_SECONDS_MAX)
}
