//! Rotated secrets: the work of changing their credentials, and what people ask for about it.
//!
//! A gateway that rotates goes [`RotationTake`] (or [`RotationBegin`], for somebody who waits),
//! [`RotationKeep`], the target, then the target again to try the new credentials out, and
//! [`RotationReport`]. It can die between any two of these: whoever is given the work next is given
//! the stored candidate with it, finds out which credentials the target takes, and goes on with the
//! same ones. (`crate::rotation` is about keys.)

use std::sync::Arc;

use keysherd_base::{AccessId, ItemId, ItemPath, Timestamp, Uid};
use keysherd_domain::credential_rotation::Outcome;
pub use keysherd_domain::credential_rotation::{Reason, Task};
use serde::{Deserialize, Serialize};

use crate::grants::{GrantedItem, ItemFacts, KeyRef, PermitSlot, SignedPermit};
use crate::items::SealedValue;
use crate::keys::ManifestGetReply;

/// Rotations that one [`RotationTake`] asks for at most.
pub const ROTATION_BATCH_MAX: usize = 16;

/// Asks for rotations that are due now. Needs no caller; recorded when something is handed out.
/// What is neither reported nor prolonged within `WORK_SECONDS` is handed out again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationTake {
    /// Fresh salts, one for each rotation that is asked for: 1 to [`ROTATION_BATCH_MAX`].
    pub salts: Vec<[u8; 32]>,
}

/// What is to be rotated.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RotationTakeReply {
    /// The rotations.
    pub work: Vec<RotationWork>,
    /// Permits for what is in `work`.
    pub permits: Vec<SignedPermit>,
    /// In how many milliseconds there is more to do for this gateway, as far as is known; `None`:
    /// nothing is due.
    pub next_due_millis: Option<i64>,
}

/// Begins a rotation for somebody who waits for it. Needs `update` on the rotated secret, and
/// `read` and `update` on its target where the credentials are the target's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotationBegin {
    /// The rotated secret.
    pub item: ItemPath,
    /// [`Reason::Manual`] or [`Reason::Rollback`].
    pub reason: Reason,
    /// A fresh salt.
    pub salt: [u8; 32],
}

/// The rotation, which may be an earlier one that has not come to an end, or the removal of old
/// credentials that has to be done first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotationBeginReply {
    /// What is to be done.
    pub work: RotationWork,
    /// Permits for it.
    pub permits: Vec<SignedPermit>,
}

/// A rotation that a gateway works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationWork {
    /// The account.
    pub account: Uid,
    /// On whose behalf keys are derived.
    pub access_id: AccessId,
    /// The rotated secret.
    pub item: ItemId,
    /// Which attempt this is; to be named in what is said about it.
    pub attempt: u32,
    /// What is to be done.
    pub task: Task,
    /// The rotated secret, then its target if it has one, then the target whose credentials that
    /// one uses if there is one, or the linked targets that use the target's own where those
    /// change: each with its newest version first, and then with the other versions that the work
    /// needs.
    pub items: Vec<Arc<GrantedItem>>,
    /// What is known of them without opening, in the same order.
    pub facts: Vec<ItemFacts>,
    /// Where the new credentials are stored; `None` where there are none to be.
    pub write: Option<RotationWrite>,
    /// The keys that all of it is wrapped by: a gateway that knows none of them yet has nobody in
    /// whose name it could ask for them.
    pub keys: Vec<RotationKey>,
}

/// A key with what its managers signed about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationKey {
    /// The key.
    pub key: KeyRef,
    /// Its manifest.
    pub manifest: ManifestGetReply,
}

/// Where new credentials are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationWrite {
    /// Whose version they are: place in [`RotationWork::items`].
    pub place: usize,
    /// The version.
    pub version: u32,
    /// Whether it is stored already: it is the last of its item's versions then. Those very
    /// credentials are to be set, unless the target takes them by now.
    pub is_stored: bool,
    /// Whether it has to be stored once more before, as the item has another path by now.
    pub store_again: bool,
    /// The key that wraps it.
    pub key: KeyRef,
    /// Its place in the permits.
    pub permit_slot: PermitSlot,
}

/// Prolongs the time of an attempt to `WORK_SECONDS` from now. Needs no caller; nothing is
/// recorded. Refused with a conflict when somebody else has taken the work since, or it has taken
/// too long altogether: nothing may be sent to the target any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationHold {
    /// The rotated secret.
    pub item: ItemId,
    /// The attempt.
    pub attempt: u32,
}

/// Stores new credentials that are not set yet, and prolongs as [`RotationHold`] does. Needs no
/// caller. Only when this was answered may they be sent to the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotationKeep {
    /// The rotated secret.
    pub item: ItemId,
    /// The attempt.
    pub attempt: u32,
    /// The path that the value is attested for; refused with a conflict when the item has another
    /// one by now.
    pub path: ItemPath,
    /// The value.
    pub value: SealedValue,
}

/// What came of an attempt. Needs no caller. Refused with a conflict when somebody else has taken
/// the work since, or when what was stored cannot be read under the item's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationReport {
    /// The rotated secret.
    pub item: ItemId,
    /// The attempt.
    pub attempt: u32,
    /// What came of it.
    pub result: RotationResult,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationResult {
    /// The target takes the stored credentials, which was tried: everybody reads them from now on.
    Changed {
        /// Where they could not be set, and why; `None`: everywhere they were. Nothing secret.
        partly: Option<String>,
    },
    /// Nothing has changed: nothing was sent, or the target was tried and takes the old ones.
    Unchanged {
        /// Why. Nothing secret.
        error: String,
    },
    /// Nobody knows which credentials the target takes.
    Unknown {
        /// Why. Nothing secret.
        error: String,
    },
    /// The credentials of an older version are gone.
    Retired,
    /// Nothing has changed: the target refuses whom was to be signed in there for it. Somebody else
    /// has changed what it takes, or the account is locked. It is not tried again soon, as accounts
    /// are locked for that.
    Refused {
        /// What it said. Nothing secret.
        error: String,
    },
    /// As [`Self::Changed`] but for some hosts, of which some refuse whom was to be signed in
    /// there: they are not tried again soon, either.
    ChangedOrRefused {
        /// Where they could not be set, and why. Nothing secret.
        partly: String,
    },
}

/// Locks a rotated secret for its caller before they read it, where it is set up so. Needs `read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedCheckOut {
    /// The rotated secret.
    pub item: ItemPath,
}

/// Until when the caller has it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedCheckedOut {
    /// `None`: it is not set up so.
    pub until: Option<Timestamp>,
}

/// Says that a session which used the credentials has ended, so that they change where that is set
/// up. Needs `read` on the rotated secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedDisconnect {
    /// The rotated secret.
    pub item: ItemPath,
}

/// How the rotations of a secret stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationView {
    /// When the credentials change by themselves next.
    pub next: Option<Timestamp>,
    /// When they changed last.
    pub rotated: Option<Timestamp>,
    /// What came of the last attempt.
    pub outcome: Outcome,
    /// Why the last attempt failed; empty: it did not.
    pub last_error: String,
    /// Whether a rotation is under way, or has not come to an end.
    pub under_way: bool,
    /// Whether they change as soon as a lock ends, or because it has.
    #[serde(default)]
    pub unlock_pending: bool,
}
