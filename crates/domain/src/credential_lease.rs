//! The life of a temporary credential, from before it exists on its target until it is gone there.
//!
//! [`LeaseState::Intended`] is durable before the target is touched, so there is never a user that
//! nothing knows of. Whoever made the user says so ([`CredentialLease::activate`]); an intent that
//! nobody activates becomes due like a credential whose time is over. What is due is given to a
//! gateway for [`work_seconds`] ([`CredentialLease::take`]); one that does not report in time has
//! failed, and another one gets it. Removing is done until it succeeds: later and later
//! ([`CredentialLease::failed`]), and after [`ATTEMPTS_MAX`] attempts only when a person says so.
//!
//! An intent whose gateway was never heard of again may still become a user: the gateway was
//! frozen, not dead. So may one whose making was given up without an answer, where a target does
//! not keep removing waiting for what is still on its way. Such a one is removed a second time,
//! [`AGAIN_SECONDS`] later: no request lives that long.
//!
//! A gateway that cannot open what it would need gives the work back
//! ([`CredentialLease::hand_back`]): nothing was tried, so nothing counts.
//!
//! (The leases of [`crate::lease`] are something else: duties of gateways.)

use std::collections::BTreeMap;

use keysherd_base::{AccessId, ItemId, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Longest handle, in bytes: the name of a user, a role or a key on the target.
pub const HANDLE_BYTES_MAX: usize = 1_024;
/// Longest description of a failure that is kept, in bytes.
pub const ERROR_BYTES_MAX: usize = 500;
/// How long a gateway has to make a user before its intent is due, in seconds. It must have given
/// up well before.
pub const INTENT_SECONDS: i64 = 120;
/// How long a gateway has to itself what it took for the first, the second and every later attempt,
/// in seconds: one that is dead is soon followed by another one, and a slow target has its time.
const WORK_SECONDS: [i64; 3] = [10, 18, 27];
/// When what an intent may have become is removed once more, in seconds after the first time.
pub const AGAIN_SECONDS: i64 = 600;
/// When somebody gets what a gateway gave back without trying, in seconds.
pub const HAND_BACK_SECONDS: i64 = 1;
/// Attempts to remove a credential before it is left to people.
pub const ATTEMPTS_MAX: u32 = 12;
/// Longest pause between two attempts, in seconds.
const PAUSE_SECONDS_MAX: i64 = 900;

/// Where a temporary credential is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaseState {
    /// A gateway is about to make it, or has.
    Intended,
    /// It exists on its target.
    Active,
    /// It is to be removed, or being removed.
    Revoking,
    /// It could not be removed, and nobody tries any more.
    Quarantined,
}

impl LeaseState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Intended, Self::Active, Self::Revoking, Self::Quarantined];

    /// Its name, in the store and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Active => "active",
            Self::Revoking => "revoking",
            Self::Quarantined => "quarantined",
        }
    }

    /// Reads back [`LeaseState::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A temporary credential as control knows it: nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialLease {
    /// Where it is in its life.
    #[serde(skip, default = "intended")]
    pub state: LeaseState,
    /// When something is to be done about it; `None`: never.
    #[serde(skip)]
    pub due: Option<Timestamp>,
    /// How often it was tried to remove it, since somebody asked for that.
    #[serde(skip)]
    pub attempts: u32,
    /// Whether it is certain that nobody is making it any more.
    #[serde(skip)]
    pub settled: bool,
    /// What is to be removed on the target.
    pub handle: String,
    /// The target it is on; `None`: the dynamic secret says itself where.
    pub target: Option<ItemId>,
    /// When it was intended.
    pub made: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long it was to live when that was said last, in seconds.
    pub ttl_seconds: i64,
    /// Who asked for it.
    pub access_id: AccessId,
    /// The sub-claims of the asker that their auth method lets into records.
    #[serde(default)]
    pub sub_claims: BTreeMap<String, Vec<String>>,
    /// SHA-256 of the key of the gateway that makes it.
    pub gateway: [u8; 32],
    /// The same of the gateway that took it last to remove it.
    pub taken_by: Option<[u8; 32]>,
    /// When it was removed for the first time, where it may come yet.
    #[serde(default)]
    pub looked: Option<Timestamp>,
    /// Why it could not be removed the last time; empty: that was not tried, or came off.
    #[serde(default)]
    pub last_error: String,
}

/// Columns of the store hold it.
const fn intended() -> LeaseState {
    LeaseState::Intended
}

/// A new one.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What is to be removed on the target.
    pub handle: String,
    /// The target it is on.
    pub target: Option<ItemId>,
    /// How long it is to live, in seconds.
    pub ttl_seconds: i64,
    /// Who asks for it.
    pub access_id: AccessId,
    /// Their sub-claims, as far as records show them.
    pub sub_claims: BTreeMap<String, Vec<String>>,
    /// SHA-256 of the key of the gateway that makes it.
    pub gateway: [u8; 32],
}

/// What came of a wish to activate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It is active now.
    Done,
    /// It was before: the answer to the first question was lost.
    Already,
    /// It is not this gateway's, or too late: what was made has to be removed by who made it.
    Refused,
}

/// What came of an attempt to remove a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone for good: nothing is to be kept.
    Gone,
    /// It is gone as far as one can see, and removed once more later.
    Again,
    /// It is tried again later.
    Later,
    /// It is left to people from now on.
    GivenUp,
}

impl CredentialLease {
    /// One that is about to be made.
    pub fn intend(intent: Intent, now: Timestamp) -> Self {
        let Intent { handle, target, ttl_seconds, access_id, sub_claims, gateway } = intent;
        Self {
            state: LeaseState::Intended,
            due: Some(now.plus_seconds(INTENT_SECONDS)),
            attempts: 0,
            settled: false,
            handle,
            target,
            made: now,
            ends: now.plus_seconds(ttl_seconds),
            ttl_seconds,
            access_id,
            sub_claims,
            gateway,
            taken_by: None,
            looked: None,
            last_error: String::new(),
        }
    }

    /// Says that `gateway` has made it, as `handle` where that became another one, to end at
    /// `ends` where the target says so.
    pub fn activate(
        &mut self,
        gateway: &[u8; 32],
        handle: Option<String>,
        ends: Option<Timestamp>,
    ) -> Activation {
        if self.gateway != *gateway {
            return Activation::Refused;
        }
        match self.state {
            LeaseState::Active => Activation::Already,
            LeaseState::Intended => {
                self.handle = handle.unwrap_or_else(|| std::mem::take(&mut self.handle));
                self.ends = ends.unwrap_or(self.ends);
                self.due = Some(self.ends);
                self.state = LeaseState::Active;
                self.settled = true;
                Activation::Done
            }
            LeaseState::Revoking | LeaseState::Quarantined => Activation::Refused,
        }
    }

    /// Says that nobody got what `gateway` made, and that it, or a part of it, may be left on the
    /// target; `late`: or may come there yet. Whether that could be said.
    pub fn abandon(&mut self, gateway: &[u8; 32], late: bool, now: Timestamp) -> bool {
        let young = now < self.made.plus_seconds(INTENT_SECONDS);
        let open = match self.state {
            LeaseState::Intended => true,
            LeaseState::Active => young,
            LeaseState::Revoking | LeaseState::Quarantined => false,
        };
        let own = self.gateway == *gateway && open;
        if own {
            // What lives has come.
            self.settled |= !late;
            self.state = LeaseState::Revoking;
            self.due = Some(now);
        }
        own
    }

    /// Lets it live for another `ttl_seconds` from now on; whether it lives.
    pub fn extend(&mut self, ttl_seconds: i64, now: Timestamp) -> bool {
        let lives = self.state == LeaseState::Active && now < self.ends;
        if lives {
            self.ttl_seconds = ttl_seconds;
            self.ends = now.plus_seconds(ttl_seconds);
            self.due = Some(self.ends);
        }
        lives
    }

    /// Has it removed as soon as can be. One that may still be made is not touched before its
    /// gateway must have ended: it cannot be activated any more.
    pub fn revoke(&mut self, now: Timestamp) {
        if self.settled || self.due.is_none() {
            self.due = Some(now);
        }
        self.state = LeaseState::Revoking;
        self.attempts = 0;
    }

    /// Whether it may be forgotten: nobody may be making it at this moment.
    pub const fn is_forgettable(&self) -> bool {
        self.settled || self.due.is_none()
    }

    /// Gives it to `gateway` to be removed, if it is due; gives the number of the attempt. `None`
    /// where it is not due, or left to people from now on.
    pub fn take(&mut self, gateway: &[u8; 32], now: Timestamp) -> Option<u32> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.state = LeaseState::Revoking;
        if self.attempts >= ATTEMPTS_MAX {
            // The last ones were never heard of again.
            self.give_up();
            return None;
        }
        if self.attempts == 0 {
            // What failed before somebody asked for it is not their answer.
            self.last_error.clear();
        }
        self.attempts += 1;
        self.taken_by = Some(*gateway);
        self.due = Some(now.plus_seconds(work_seconds(self.attempts)));
        Some(self.attempts)
    }

    /// Whether `gateway` may say what came of this attempt: nobody has taken it since.
    pub fn is_attempt_of(&self, gateway: &[u8; 32], attempt: u32) -> bool {
        self.state == LeaseState::Revoking
            && self.taken_by.as_ref() == Some(gateway)
            && self.attempts == attempt
    }

    /// Says that it was removed.
    pub fn removed(&mut self, now: Timestamp) -> Removal {
        if self.settled || self.looked.is_some() {
            return Removal::Gone;
        }
        self.looked = Some(now);
        self.attempts = 0;
        self.taken_by = None;
        self.last_error.clear();
        self.due = Some(now.plus_seconds(AGAIN_SECONDS));
        Removal::Again
    }

    /// Says that it could not be removed, and why.
    pub fn failed(&mut self, error: &str, now: Timestamp) -> Removal {
        self.keep_error(error);
        self.taken_by = None;
        if self.attempts >= ATTEMPTS_MAX {
            self.give_up();
            return Removal::GivenUp;
        }
        self.due = Some(now.plus_seconds(pause_seconds(self.attempts)));
        Removal::Later
    }

    /// Takes back that it was given to a gateway, which has not tried it, and says why.
    pub fn hand_back(&mut self, why: &str, now: Timestamp) {
        self.keep_error(why);
        self.taken_by = None;
        self.attempts = self.attempts.saturating_sub(1);
        self.due = Some(now.plus_seconds(HAND_BACK_SECONDS));
    }

    fn keep_error(&mut self, error: &str) {
        let end = error.floor_char_boundary(ERROR_BYTES_MAX);
        self.last_error = error.get(..end).unwrap_or_default().to_owned();
    }

    fn give_up(&mut self) {
        self.state = LeaseState::Quarantined;
        self.due = None;
        self.taken_by = None;
    }
}

/// How long a gateway has to itself what it took for this attempt (from 1), in seconds. It must
/// have ended sooner.
pub fn work_seconds(attempt: u32) -> i64 {
    let place = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    let [.., longest] = WORK_SECONDS;
    WORK_SECONDS.get(place).copied().unwrap_or(longest)
}

/// The pause after so many attempts, in seconds.
fn pause_seconds(attempts: u32) -> i64 {
    1_i64.checked_shl(attempts).map_or(PAUSE_SECONDS_MAX, |pause| pause.min(PAUSE_SECONDS_MAX))
}
