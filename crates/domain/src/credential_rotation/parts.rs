//! What the life of a rotation is told with.

use keysherd_base::{ItemPath, Timestamp};
use serde::{Deserialize, Serialize};

/// Why credentials change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Their time was over.
    Scheduled,
    /// Somebody asked for it.
    Manual,
    /// Who had them alone gave them back, or their time for that was over.
    Unlock,
    /// A session that used them has ended.
    Disconnect,
    /// Somebody wants those of an older version again.
    Rollback(u32),
    /// The rotation before did not reach some hosts of a linked target, which get theirs now.
    Hosts,
}

impl Reason {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Unlock => "unlock",
            Self::Disconnect => "disconnect",
            Self::Rollback(_) => "rollback",
            Self::Hosts => "hosts",
        }
    }
}

/// What came of the last rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// There was none.
    #[default]
    None,
    /// The credentials changed.
    Succeeded,
    /// They changed on some hosts only.
    Partly,
    /// They did not change, or nobody knows.
    Failed,
}

/// What is known of the target after an attempt that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It does not take the candidate, as nothing was changed.
    Unchanged,
    /// The same, as it does not let in whoever was to change it. What may have been set before is
    /// not known to be there, nor not to be.
    Refused,
    /// Nothing.
    Unknown,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// The credentials change.
    Change(Reason),
    /// Those of an older version are removed, which stayed for a while.
    Retire(u32),
}

/// A rotation that was asked for out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When it is to be.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Old credentials that stay for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// The version that has them.
    pub version: u32,
    /// When they go.
    pub at: Timestamp,
}

/// Credentials that are stored but not known to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The version they will be.
    pub version: u32,
    /// The path that they are attested for.
    pub path: ItemPath,
    /// Why they are to be set.
    pub reason: Reason,
    /// When the last gateway took this that was not heard of again, or does not know what it did,
    /// if any was.
    pub unheard: Option<Timestamp>,
    /// When that was for the first time.
    #[serde(default)]
    pub doubted: Option<Timestamp>,
}

impl Candidate {
    /// Notes that somebody who took this then may have set it.
    pub(super) fn doubt(&mut self, since: Timestamp) {
        self.unheard = Some(since);
        self.doubted = self.doubted.or(self.unheard);
    }
}

/// Who is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// SHA-256 of the gateway's key.
    pub by: [u8; 32],
    /// Since when.
    pub since: Timestamp,
    /// Until when nobody else is.
    pub until: Timestamp,
    /// At what.
    pub task: Task,
    /// What was asked for and is done by it, if it comes to its end.
    pub asked: Option<Asked>,
}

/// Work that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number.
    pub number: u32,
    /// What is to be done.
    pub task: Task,
    /// The candidate that is there already.
    pub resumes: Option<u32>,
}

/// Why nothing can be begun now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Somebody is at work, until then at most.
    Working(Timestamp),
    /// An earlier rotation has not come to an end, so nothing else can be begun.
    Unfinished,
    /// Somebody who was not heard of again might still set what is stored now, until then.
    Quiet(Timestamp),
}

/// What a failure means for what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setback {
    /// The version of the candidate that is to be deleted.
    pub dropped: Option<u32>,
    /// Whether nobody tries any more until the next date.
    pub given_up: bool,
}
