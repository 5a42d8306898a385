//! Universal identity: trees of tokens that live by being rotated.
//!
//! A [`UidToken`] is one node of a tree. It has a value in force and, while a rotation is under
//! way, a second one. Each value has a number; numbers only grow. The rules, which keep a holder
//! who crashes at any moment from being locked out:
//!
//! - **Rotation** makes a new value beside the one in force. Rotating again replaces it.
//! - **Automatic**: the new value is acknowledged by its first use. Until then the old one works
//!   too, for [`ROTATION_GRACE_SECONDS`]; after that it can do nothing but rotate again, which is
//!   what a holder does who never received the new value.
//! - **Manual**: the old value works until the new one is acknowledged by name. The new one can be
//!   tried out for [`ROTATION_GRACE_SECONDS`], and then only be acknowledged.
//! - From the acknowledgment on the old value is dead. Whoever presents it within
//!   [`STALE_GRACE_SECONDS`] is told to read the new one (their request was under way); after
//!   that, two parties hold the token, and the caller of this revokes the token and all below it.
//!
//! Where a token stands is in its id ([`UidTokenId`]); nothing here looks at other nodes.

use keysherd_base::limits::{UID_COMMENT_BYTES_MAX, UID_TTL_MINUTES_MAX};
use keysherd_base::{AccountId, Timestamp, UID_TREE_LEVELS_MAX, UidTokenId};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// How long both values of an automatic rotation work, and how long the new one of a manual
/// rotation can be tried out, in seconds. Clients that rotate every two minutes use the new value
/// well within it.
pub const ROTATION_GRACE_SECONDS: i64 = 300;
/// How long after its acknowledgment the use of the old value is taken for a request that was
/// under way, in seconds.
pub const STALE_GRACE_SECONDS: i64 = 60;
/// Most percentages at which events are raised.
const EXPIRATION_EVENTS_MAX: usize = 10;

/// What an auth method says about its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UidSettings {
    /// Life of a token between two rotations, in minutes.
    pub ttl_minutes: u32,
    /// Longest life that a child may be given, in minutes.
    pub child_ttl_limit_minutes: u32,
    /// Most levels of the tree, the root included.
    pub tree_length: u32,
    /// The root cannot be rotated.
    pub deny_rotate: bool,
    /// The root cannot have children.
    pub deny_inheritance: bool,
    /// Percentages of a token's life at whose passing an event is raised, ascending.
    pub expiration_event_percents: Vec<u32>,
}

impl Default for UidSettings {
    fn default() -> Self {
        Self {
            ttl_minutes: 60,
            child_ttl_limit_minutes: 43_200,
            tree_length: UID_TREE_LEVELS_MAX,
            deny_rotate: false,
            deny_inheritance: false,
            expiration_event_percents: Vec::new(),
        }
    }
}

impl UidSettings {
    /// What is wrong with the settings, if something is: the public name, and what is allowed.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn check(&self) -> Result<(), String> {
        check_minutes("ttl", self.ttl_minutes, UID_TTL_MINUTES_MAX)?;
        check_minutes("child-ttl-limit", self.child_ttl_limit_minutes, UID_TTL_MINUTES_MAX)?;
        if !(1..=UID_TREE_LEVELS_MAX).contains(&self.tree_length) {
            return Err(format!(
                "tree-length is {}; 1 to {UID_TREE_LEVELS_MAX} levels are possible",
                self.tree_length
            ));
        }
        let percents = &self.expiration_event_percents;
        let ascending = percents.is_sorted_by(|a, b| a < b);
        let possible = percents.iter().all(|percent| (1..=100).contains(percent));
        if !ascending || !possible || percents.len() > EXPIRATION_EVENTS_MAX {
            return Err(format!(
                "uid-expiration-event-at takes up to {EXPIRATION_EVENTS_MAX} different numbers \
                 from 1 to 100, the percentage of a token's life that has passed"
            ));
        }
        Ok(())
    }

    /// Whether a child may live this long, in minutes.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn check_child_ttl(&self, minutes: u32) -> Result<(), String> {
        check_minutes("child-ttl", minutes, self.child_ttl_limit_minutes)
    }
}

fn check_minutes(name: &str, minutes: u32, most: u32) -> Result<(), String> {
    if (1..=most).contains(&minutes) {
        return Ok(());
    }
    Err(format!("{name} is {minutes} minutes; 1 to {most} are possible"))
}

/// Whether a comment fits; it is shown in listings and audit records.
///
/// # Errors
/// A sentence for the caller.
pub fn check_comment(comment: &str) -> Result<(), String> {
    if comment.len() <= UID_COMMENT_BYTES_MAX && !comment.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "the comment is longer than {UID_COMMENT_BYTES_MAX} bytes or has a control character"
    ))
}

/// A value of a token, as far as it is kept: enough to recognize it, not enough to present it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidValue {
    /// Its number among the values of this token, from 1.
    pub number: u32,
    /// A hash of the value.
    pub verifier: [u8; 32],
}

/// A value and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivingValue {
    /// The value.
    pub value: UidValue,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// A value that waits for its acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingValue {
    /// The value.
    pub living: LivingValue,
    /// Whether it has to be acknowledged by name instead of by its first use.
    pub manual: bool,
}

/// A value whose place another one took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedValue {
    /// Its number.
    pub number: u32,
    /// When the other one was acknowledged.
    pub at: Timestamp,
}

/// One token of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidToken {
    /// Its number in the store; never used again.
    pub id: i64,
    /// The account.
    pub account: AccountId,
    /// The auth method, by its integer id.
    pub method: i64,
    /// Its public id, which says where in the tree it stands.
    pub token_id: UidTokenId,
    /// Free text of whoever made it.
    pub comment: String,
    /// Life between two rotations, in minutes.
    pub ttl_minutes: u32,
    /// It cannot be rotated.
    pub deny_rotate: bool,
    /// It cannot have children.
    pub deny_inheritance: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// The value in force.
    pub current: LivingValue,
    /// The value of a rotation that is not acknowledged yet.
    pub pending: Option<PendingValue>,
    /// The value that was in force before; `None` while the first one is.
    pub replaced: Option<ReplacedValue>,
    /// The highest number that any value had.
    pub numbers_used: u32,
}

/// What a presented value is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In force.
    Good,
    /// The new value of an automatic rotation, used for the first time: to be acknowledged.
    Acknowledges,
    /// The new value of a manual rotation, which is being tried out.
    OnTrial,
    /// The value in force before an automatic rotation whose new value nobody has used: it can do
    /// nothing but rotate again.
    OnlyRotates,
    /// The new value of a manual rotation that has to be acknowledged before it is used further.
    Unacknowledged,
    /// It ended then.
    Expired(Timestamp),
    /// The token was revoked.
    Revoked,
    /// Another value took its place a moment ago.
    JustRotated,
    /// Another value took its place: two parties hold the token.
    Reused,
    /// A value that never came into force, or that is not known.
    Unknown,
}

impl Verdict {
    /// Whether the bearer may act.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Good | Self::Acknowledges | Self::OnTrial)
    }
}

impl UidToken {
    /// What `presented` is at `now`. That its number is genuine has been proven elsewhere.
    pub fn judge(&self, presented: &UidValue, now: Timestamp) -> Verdict {
        if self.revoked.is_some() {
            return Verdict::Revoked;
        }
        if *presented == self.current.value {
            return self.judge_current(now);
        }
        if let Some(pending) = self.pending.filter(|it| it.living.value == *presented) {
            return judge_pending(&pending, now);
        }
        if presented.number >= self.current.value.number {
            return Verdict::Unknown;
        }
        // The one before only: a holder who rotates every minute would never be found out else.
        let was_under_way = self.replaced.is_some_and(|replaced| {
            replaced.number == presented.number && !is_over(replaced.at, STALE_GRACE_SECONDS, now)
        });
        if was_under_way { Verdict::JustRotated } else { Verdict::Reused }
    }

    fn judge_current(&self, now: Timestamp) -> Verdict {
        if now >= self.current.expires {
            return Verdict::Expired(self.current.expires);
        }
        let superseded = self.pending.filter(|pending| !pending.manual);
        match superseded {
            Some(pending) if is_over(pending.living.made, ROTATION_GRACE_SECONDS, now) => {
                Verdict::OnlyRotates
            }
            _ => Verdict::Good,
        }
    }

    /// The newest value, in force or waiting.
    pub fn newest(&self) -> LivingValue {
        self.pending.map_or(self.current, |pending| pending.living)
    }

    /// The number of the next value.
    pub const fn next_number(&self) -> u32 {
        self.numbers_used.saturating_add(1)
    }

    /// Begins a rotation: `new` waits for its acknowledgment. An earlier one that waits is given
    /// up.
    pub fn begin_rotation(&mut self, new: UidValue, manual: bool, now: Timestamp) {
        self.numbers_used = self.numbers_used.max(new.number);
        self.pending = Some(PendingValue { living: self.living(new, now), manual });
    }

    /// Puts the waiting value in force, if it is `new`; gives whether it is in force afterwards.
    pub fn acknowledge(&mut self, new: &UidValue, now: Timestamp) -> bool {
        if let Some(pending) = self.pending.filter(|it| it.living.value == *new) {
            self.replaced = Some(ReplacedValue { number: self.current.value.number, at: now });
            self.current = pending.living;
            self.pending = None;
        }
        self.current.value == *new
    }

    /// When the next of `percents` of the life of the newest value has passed, after `after`.
    pub fn next_event(&self, percents: &[u32], after: Timestamp) -> Option<(Timestamp, u32)> {
        let living = self.newest();
        let life = living.expires.millis_since(living.made).max(0);
        let at = |percent: u32| Timestamp(living.made.0 + life / 100 * i64::from(percent));
        let mut times = percents.iter().map(|percent| (at(*percent), *percent));
        times.find(|(time, _)| *time > after)
    }

    /// A value of this token that begins to live now.
    fn living(&self, value: UidValue, now: Timestamp) -> LivingValue {
        LivingValue { value, made: now, expires: end_of_life(now, self.ttl_minutes) }
    }
}

/// When a value that is made now ends.
pub fn end_of_life(now: Timestamp, ttl_minutes: u32) -> Timestamp {
    now.plus_seconds(i64::from(ttl_minutes) * 60)
}

fn judge_pending(pending: &PendingValue, now: Timestamp) -> Verdict {
    if now >= pending.living.expires {
        return Verdict::Expired(pending.living.expires);
    }
    match pending.manual {
        false => Verdict::Acknowledges,
        true if is_over(pending.living.made, ROTATION_GRACE_SECONDS, now) => {
            Verdict::Unacknowledged
        }
        true => Verdict::OnTrial,
    }
}

fn is_over(since: Timestamp, seconds: i64, now: Timestamp) -> bool {
    now >= since.plus_seconds(seconds)
}
