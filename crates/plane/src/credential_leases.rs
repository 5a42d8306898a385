//! Temporary credentials: that one is about to be made, that it was made, who has which, and the
//! work of removing those whose time is over.
//!
//! A gateway that makes one goes [`LeaseIntend`], the target, [`LeaseActivate`], and then answers
//! its client. Removing is work that gateways ask for by themselves, without a caller
//! ([`LeaseTake`]), and whose outcome they bring ([`LeaseReport`]); it can be repeated and given up
//! at any point.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{AccessId, ItemId, ItemPath, Timestamp, Uid};
use keysherd_domain::credential_lease::LeaseState;
use serde::{Deserialize, Serialize};

use crate::grants::{GrantedItem, ItemFacts, SignedPermit};
use crate::keys::ManifestGetReply;

/// Credentials that one [`LeaseTake`] asks for, and results that one [`LeaseReport`] brings, at
/// most.
pub const LEASE_BATCH_MAX: usize = 256;
/// Targets and dynamic secrets that one [`LeaseTake`] says something of at most.
pub const LEASE_PLACES_MAX: usize = 1_024;
/// Credentials of one page of [`LeaseList`] at most.
pub const LEASE_PAGE_MAX: usize = 1_000;

/// Says that a temporary credential is about to be made, which is durable with the reply. Needs
/// `read` on the dynamic secret. This is what is recorded as getting its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseIntend {
    /// The dynamic secret.
    pub item: ItemId,
    /// The target it is made on, as it was opened; refused with a conflict when that is another one
    /// by now.
    pub target: Option<ItemId>,
    /// Its identity, drawn by the gateway.
    pub lease: Uid,
    /// What is to be removed on the target, at most `HANDLE_BYTES_MAX`; empty where the target
    /// names it itself. Nothing secret.
    pub handle: String,
    /// How long it is to live, in seconds.
    pub ttl_seconds: i64,
}

/// The credential may be made, for `INTENT_SECONDS` from when the question was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseIntended {
    /// When it ends.
    pub ends: Timestamp,
    /// How long it lives, in seconds: not longer than the dynamic secret and the account allow.
    pub ttl_seconds: i64,
}

/// Says that a credential was made. To be asked by the gateway that intended it, before anybody
/// gets the credential; when it is refused, that gateway has to remove what it made. Nothing is
/// recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseActivate {
    /// The credential.
    pub lease: Uid,
    /// What is to be removed, where that is something else than was intended.
    pub handle: Option<String>,
    /// When it ends, where the target says so itself.
    pub ends: Option<Timestamp>,
}

/// Says that nobody got a credential that was intended, because it was not made or could not be
/// answered. Only the gateway that intended it is heard, and only for `INTENT_SECONDS`; otherwise
/// nothing changes. Nothing is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAbandon {
    /// The credential.
    pub lease: Uid,
    /// Whether something may be left on the target, which is then removed.
    pub touched: bool,
    /// Whether something may come there yet, so that it is removed a second time, long after.
    #[serde(default)]
    pub late: bool,
}

/// Lists the credentials of a dynamic secret. Needs `read` on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseList {
    /// The dynamic secret.
    pub item: ItemPath,
    /// Only those after this one.
    pub after: Option<Uid>,
    /// At most this many, 1 to [`LEASE_PAGE_MAX`].
    pub limit: usize,
}

/// A page of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseListReply {
    /// By id.
    pub leases: Vec<LeaseView>,
    /// Whether there are more.
    pub more: bool,
    /// What engine makes them.
    pub engine: String,
}

/// A temporary credential as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// Its identity.
    pub id: Uid,
    /// Where it is in its life.
    pub state: LeaseState,
    /// What it is called on the target.
    pub handle: String,
    /// Who asked for it.
    pub access_id: AccessId,
    /// Their sub-claims, as far as records show them.
    pub sub_claims: BTreeMap<String, Vec<String>>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long it was to live when that was said last, in seconds.
    pub ttl_seconds: i64,
    /// Whether it is certain that nobody is making it any more. One that is not, and is to be
    /// removed, nobody has, and nobody will get.
    pub settled: bool,
    /// Attempts to remove it.
    pub attempts: u32,
    /// Why the last one failed; empty: it did not.
    pub last_error: String,
}

/// Has a credential that lives end so long after now. Needs `update` on the dynamic secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseExtend {
    /// The dynamic secret.
    pub item: ItemPath,
    /// The credential.
    pub lease: Uid,
    /// How long it lives from now on, in seconds; not longer than a new one would.
    pub ttl_seconds: i64,
}

/// Which credentials of a dynamic secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseChoice {
    /// This one.
    One(Uid),
    /// All.
    All,
}

/// Has credentials removed as soon as can be. Needs `update` on the dynamic secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseRevoke {
    /// The dynamic secret.
    pub item: ItemPath,
    /// Which of its credentials.
    pub which: LeaseChoice,
    /// Whether they are only forgotten: nobody touches the target any more.
    pub soft: bool,
}

/// How many it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRevokeReply {
    /// Credentials.
    pub leases: u64,
}

/// Asks for credentials that are to be removed now. Needs no caller; recorded when something is
/// handed out. What is not reported within `work_seconds` is handed out again: an attempt must have
/// ended before. Removing one that is gone already is a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTake {
    /// At most this many, up to [`LEASE_BATCH_MAX`].
    pub limit: usize,
    /// At most this many on one target; 0: a quarter of `limit`.
    #[serde(default)]
    pub each: usize,
    /// Where it is another number, because the gateway is busy there or knows them better: at most
    /// [`LEASE_PLACES_MAX`].
    #[serde(default)]
    pub room: Vec<LeaseRoom>,
}

/// What a gateway takes on one target, or of one dynamic secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRoom {
    /// The target, or the dynamic secret.
    pub place: ItemId,
    /// At most this many.
    pub left: usize,
}

/// What is to be removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LeaseTakeReply {
    /// The credentials.
    pub work: Vec<LeaseWork>,
    /// What they are removed with: a dynamic secret, and its target if it has one.
    pub opened: Vec<LeaseMeans>,
    /// Permits for reading what is in `opened`.
    pub permits: Vec<SignedPermit>,
    /// In how many milliseconds there is more to do for this gateway, as far as is known; `None`:
    /// nothing is due.
    pub next_due_millis: Option<i64>,
}

/// A credential to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseWork {
    /// The credential.
    pub lease: Uid,
    /// What is to be removed on the target.
    pub handle: String,
    /// Which attempt this is, from 1; to be named in the report.
    pub attempt: u32,
    /// Place in [`LeaseTakeReply::opened`].
    pub means: usize,
}

/// What credentials of one dynamic secret on one target are removed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseMeans {
    /// The account.
    pub account: Uid,
    /// Who asked for the first of the credentials: on whose behalf keys are derived.
    pub access_id: AccessId,
    /// The dynamic secret, then its target if it has one: each with its newest version.
    pub items: Vec<Arc<GrantedItem>>,
    /// What is known of them without opening, in the same order.
    pub facts: Vec<ItemFacts>,
    /// The keys that wrap them, in the same order: a gateway that knows none of them yet has nobody
    /// in whose name it could ask for them.
    #[serde(default)]
    pub manifests: Vec<ManifestGetReply>,
}

/// What became of credentials that were taken; of those that somebody else took since, nothing
/// changes. Needs no caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReport {
    /// At most [`LEASE_BATCH_MAX`].
    pub results: Vec<LeaseResult>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseResult {
    /// The credential.
    pub lease: Uid,
    /// The attempt.
    pub attempt: u32,
    /// Why it is still there; `None`: it is gone. Nothing secret.
    pub failed: Option<String>,
    /// Whether the gateway did not even try, so that it is no attempt.
    #[serde(default)]
    pub untried: bool,
}
