//! What a manager checks by itself before it touches a fragment, and the derivation (design 5.8).
//!
//! The order is the design's: (1) the gateway is in the pinned bundle, (2) the permit is signed,
//! timely and for an account of the bundle, (3) permit, connection and request are by one gateway,
//! (4) the keys are enabled and the cluster may use them, (5) the operation is allowed. Then, with
//! state: (6) [`UseCounter`], (7) [`Budget`], (8) the manager's own log, and only then
//! [`derive()`].

use std::collections::BTreeMap;

use keysherd_base::{AccountId, KeyId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;

use crate::bundle::Cluster;
use crate::bundle::pinned::PinnedBundle;
use crate::context::{Class, Context, ContextFields};
use crate::derive::{DeriveRequest, Mode};
use crate::encoding::{Encoding, Signed, SignedBy};
use crate::labels;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::KeyVersion;
use crate::messages::DeriveCall;
use crate::permit::{CLOCK_SKEW_MS, Op, PERMIT_BYTES_MAX, PERMIT_LIFE_MS_MAX, Permit, PermitEntry};
use crate::refusal::Refusal;

mod budget;
mod evaluate;
mod generation;
mod use_counter;

pub use budget::{BURST_SECONDS, Budget, SCOPES_MAX};
pub use evaluate::{Derived, derive};
pub use generation::{CheckedGeneration, check_generation};
pub use use_counter::{PERMITS_COUNTED_MAX, UseCounter};

/// A permit whose signature, account and shape were verified. It can be kept, by its hash, so that
/// its signature is paid once; time and bundle are looked at again on every use.
#[derive(Clone, Debug)]
pub struct VerifiedPermit {
    permit: Permit,
    sha256: [u8; 32],
    bundle_version: u64,
}

impl VerifiedPermit {
    /// Verifies a permit (step 2 of the design's order).
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::BadPermitSignature`], [`Refusal::BadPermit`],
    /// [`Refusal::WrongAccount`], [`Refusal::BundleStale`]; and of its time
    /// [`Refusal::PermitTooLong`], [`Refusal::PermitNotYetValid`], [`Refusal::PermitExpired`].
    pub fn verify(bundle: &PinnedBundle, signed: &Signed, now: Timestamp) -> Result<Self, Refusal> {
        if signed.body.len() > PERMIT_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let mut keys = bundle.permit_keys_at(now);
        if !keys.any(|key| signed.is_by(&key, labels::SIGN_PERMIT)) {
            return Err(Refusal::BadPermitSignature);
        }
        let permit = Permit::from_bytes(&signed.body).map_err(|_| Refusal::BadPermit)?;
        let accounts = &bundle.bundle().accounts;
        if !accounts.is_empty() && !accounts.contains(&permit.account) {
            return Err(Refusal::WrongAccount);
        }
        let verified =
            Self { permit, sha256: sha256(&[&signed.body]), bundle_version: bundle.version() };
        verified.check_now(bundle, now)?;
        Ok(verified)
    }

    /// The permit.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// SHA-256 of its bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    fn check_now(&self, bundle: &PinnedBundle, now: Timestamp) -> Result<(), Refusal> {
        if self.bundle_version != bundle.version() {
            return Err(Refusal::BundleChanged);
        }
        let permit = &self.permit;
        if permit.bundle_version > bundle.version() {
            return Err(Refusal::BundleStale);
        }
        if permit.expires_at.millis_since(permit.issued_at) > PERMIT_LIFE_MS_MAX {
            return Err(Refusal::PermitTooLong);
        }
        if permit.issued_at.millis_since(now) > CLOCK_SKEW_MS {
            return Err(Refusal::PermitNotYetValid);
        }
        if now.millis_since(permit.expires_at) > CLOCK_SKEW_MS {
            return Err(Refusal::PermitExpired);
        }
        Ok(())
    }
}

/// Whether a key version serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Made, but its manifest is not known to be signed by all: only the self-test derives.
    Pending,
    /// In use.
    Enabled,
    /// In use elsewhere: this manager's share is of a past epoch, or lost.
    Outdated,
    /// Switched off, or waiting to be destroyed.
    Disabled,
    /// Destroyed: its fragments are gone.
    Destroyed,
}

/// What a manager knows about a key version it holds.
#[derive(Clone, Copy, Debug)]
pub struct KeyStatus<'k> {
    /// The key group of its manifest.
    pub group: &'k str,
    /// The customer fragment of its manifest; all zero for none.
    pub fragment: Uid,
    /// Whether it serves.
    pub state: KeyState,
    /// Whether the owner froze it.
    pub frozen: bool,
}

/// Where a manager looks its key versions up.
pub trait KeyRing {
    /// What is known about `key`; `None` when there is no such version, in any account.
    fn status(&self, key: &KeyVersion) -> Option<KeyStatus<'_>>;
}

/// One key version of a checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedKey {
    /// Which.
    pub key: KeyVersion,
    /// Its group.
    pub group: String,
    /// The epoch the gateway expects, if it said so: answer with that epoch where both are held.
    pub epoch_hint: Option<u32>,
}

/// One derivation of a checked request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedEntry {
    /// Place of its key version in [`Checked::keys`].
    pub slot: u16,
    /// Place in the permit, where its subject is.
    pub index: u16,
    /// The item, for counting distinct ones.
    pub item_id: Uid,
    /// The context, built from the permit's fields and from nothing else.
    pub context: Context,
}

/// A request that passed every check that needs no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The gateway's cluster.
    pub cluster: Uid,
    /// The gateway.
    pub gateway_spki_sha256: [u8; 32],
    /// The account.
    pub account: AccountId,
    /// What is done.
    pub op: Op,
    /// Whether proofs are wanted.
    pub mode: Mode,
    /// This manager.
    pub manager: ManagerIndex,
    /// The managers asked in this round.
    pub quorum: ManagerSet,
    /// SHA-256 of the request's bytes.
    pub request_sha256: [u8; 32],
    /// The request's id.
    pub request_id: Uid,
    /// SHA-256 of the permit's bytes.
    pub permit_sha256: [u8; 32],
    /// The permit's id.
    pub permit_id: Uid,
    /// When the permit ends.
    pub permit_expires_at: Timestamp,
    /// How often the permit may be used here.
    pub max_uses: u8,
    /// The control plane's audit record of the permit.
    pub audit_seq: u64,
    /// The key versions, in the order in which they first appear.
    pub keys: Vec<CheckedKey>,
    /// The derivations, in the order of the request.
    pub entries: Vec<CheckedEntry>,
}

/// Checks a derivation call from the connection of the gateway with `tls_spki_sha256`, in the
/// design's order 1 to 5, at manager `me`.
///
/// # Errors
/// As [`PinnedBundle::cluster_of`], [`VerifiedPermit::verify`] and [`check_request`].
pub fn check_derive(
    bundle: &PinnedBundle,
    tls_spki_sha256: &[u8; 32],
    me: ManagerIndex,
    call: &DeriveCall,
    keys: &dyn KeyRing,
    now: Timestamp,
) -> Result<Checked, Refusal> {
    let cluster = bundle.cluster_of(tls_spki_sha256, call.endorsement.as_ref(), now)?;
    let permit = VerifiedPermit::verify(bundle, &call.permit, now)?;
    let caller = Caller { bundle, cluster, tls_spki_sha256, me, now };
    check_request(caller, &permit, &call.request, keys)
}

/// From where a request comes, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The pinned bundle.
    pub bundle: &'a PinnedBundle,
    /// The gateway's cluster, from [`PinnedBundle::cluster_of`].
    pub cluster: &'a Cluster,
    /// The gateway, from its TLS certificate.
    pub tls_spki_sha256: &'a [u8; 32],
    /// This manager.
    pub me: ManagerIndex,
    /// The time.
    pub now: Timestamp,
}

impl Caller<'_> {
    /// Step 3: permit, connection and request are by one gateway, and it signed the request.
    pub(crate) fn check_gateway(
        &self,
        permit: &VerifiedPermit,
        request: &SignedBy,
        label: &str,
    ) -> Result<(), Refusal> {
        let one = permit.permit.gateway_spki_sha256 == *self.tls_spki_sha256
            && request.key.spki_sha256() == *self.tls_spki_sha256;
        if !one {
            return Err(Refusal::WrongGateway);
        }
        if request.verifies(label) { Ok(()) } else { Err(Refusal::BadRequestSignature) }
    }

    /// The part of step 4 that the bundle decides: group and customer fragment.
    fn check_group(&self, group: &str, fragment: &Uid) -> Result<(), Refusal> {
        let known = self.bundle.bundle().group(group).ok_or(Refusal::GroupNotAllowed)?;
        if !self.cluster.groups.iter().any(|allowed| allowed == group) {
            return Err(Refusal::GroupNotAllowed);
        }
        if *fragment == Uid::default() {
            return if known.fragment_required { Err(Refusal::FragmentRequired) } else { Ok(()) };
        }
        let allowed = self.cluster.fragments.contains(fragment);
        if allowed { Ok(()) } else { Err(Refusal::FragmentNotAllowed) }
    }
}

/// Steps 3 to 5 for a permit that was verified before.
///
/// # Errors
/// [`Refusal::BundleChanged`] (verify the permit again) and the time errors of
/// [`VerifiedPermit::verify`]; [`Refusal::WrongGateway`], [`Refusal::BadRequestSignature`],
/// [`Refusal::WrongPermit`], [`Refusal::WrongManager`], [`Refusal::BadEntries`] of the request;
/// [`Refusal::UnknownKey`], [`Refusal::GroupNotAllowed`], [`Refusal::FragmentRequired`],
/// [`Refusal::FragmentNotAllowed`], [`Refusal::KeyFrozen`], [`Refusal::KeyNotEnabled`] of its
/// keys; [`Refusal::OpNotAllowed`], [`Refusal::ClassNotAllowed`].
pub fn check_request(
    caller: Caller<'_>,
    permit: &VerifiedPermit,
    request: &SignedBy,
    ring: &dyn KeyRing,
) -> Result<Checked, Refusal> {
    permit.check_now(caller.bundle, caller.now)?;
    caller.check_gateway(permit, request, labels::SIGN_DERIVE_REQUEST)?;
    let request_sha256 = DeriveRequest::hash(&request.signed.body);
    let request = DeriveRequest::from_bytes(&request.signed.body)?;
    if request.permit_sha256 != permit.sha256 {
        return Err(Refusal::WrongPermit);
    }
    if request.manager != caller.me {
        return Err(Refusal::WrongManager);
    }
    let VerifiedPermit { permit, sha256: permit_sha256, .. } = permit;
    let (mut keys, entries) = resolve(permit, &request.entries)?;
    if !matches!(request.epoch_hints.len(), 0) && request.epoch_hints.len() != keys.len() {
        return Err(Refusal::BadEntries);
    }
    for (slot, checked) in keys.iter_mut().enumerate() {
        checked.epoch_hint = request.epoch_hints.get(slot).copied();
        let status = ring.status(&checked.key).ok_or(Refusal::UnknownKey)?;
        check_key(&caller, permit.op, &status)?;
        checked.group = status.group.to_owned();
    }
    check_op(caller.cluster, permit.op, &permit.entries)?;
    Ok(Checked {
        cluster: caller.cluster.id,
        gateway_spki_sha256: *caller.tls_spki_sha256,
        account: permit.account,
        op: permit.op,
        mode: request.mode,
        manager: request.manager,
        quorum: request.quorum,
        request_sha256,
        request_id: request.request_id,
        permit_sha256: *permit_sha256,
        permit_id: permit.permit_id,
        permit_expires_at: permit.expires_at,
        max_uses: permit.max_uses,
        audit_seq: permit.audit_seq,
        keys,
        entries,
    })
}

/// Builds the contexts from the permit, and the list of distinct key versions.
fn resolve(
    permit: &Permit,
    indexes: &[u16],
) -> Result<(Vec<CheckedKey>, Vec<CheckedEntry>), Refusal> {
    if indexes.is_empty() || !indexes.is_sorted_by(|a, b| a < b) {
        return Err(Refusal::BadEntries);
    }
    let mut slots: BTreeMap<(KeyId, u32), u16> = BTreeMap::new();
    let mut keys = Vec::new();
    let mut entries = Vec::with_capacity(indexes.len());
    for index in indexes {
        let entry = permit.entries.get(usize::from(*index)).ok_or(Refusal::BadEntries)?;
        let next = u16::try_from(slots.len()).map_err(|_| Refusal::TooLarge)?;
        let slot = *slots.entry((entry.key_id, entry.key_version)).or_insert(next);
        if slot == next {
            keys.push(CheckedKey {
                key: KeyVersion {
                    account: permit.account,
                    id: entry.key_id,
                    version: entry.key_version,
                },
                group: String::new(),
                epoch_hint: None,
            });
        }
        let context = context_of(permit, entry);
        entries.push(CheckedEntry { slot, index: *index, item_id: entry.item_id, context });
    }
    Ok((keys, entries))
}

fn context_of(permit: &Permit, entry: &PermitEntry) -> Context {
    Context::new(&ContextFields {
        class: entry.class,
        account: permit.account,
        key_id: entry.key_id,
        key_version: entry.key_version,
        item_id: entry.item_id,
        item_version: entry.item_version,
        salt: entry.salt,
    })
}

/// Step 4 for one key version.
pub(crate) fn check_key(
    caller: &Caller<'_>,
    op: Op,
    status: &KeyStatus<'_>,
) -> Result<(), Refusal> {
    caller.check_group(status.group, &status.fragment)?;
    if status.frozen {
        return Err(Refusal::KeyFrozen);
    }
    let serves = match status.state {
        KeyState::Enabled => true,
        KeyState::Outdated => return Err(Refusal::ShareOutdated),
        KeyState::Pending => op == Op::Generate,
        KeyState::Disabled | KeyState::Destroyed => false,
    };
    if serves { Ok(()) } else { Err(Refusal::KeyNotEnabled) }
}

/// Step 5: the cluster may do this, and the operation extends to every class of the permit.
pub(crate) fn check_op(cluster: &Cluster, op: Op, entries: &[PermitEntry]) -> Result<(), Refusal> {
    if !cluster.ops.contains(&op) {
        return Err(Refusal::OpNotAllowed);
    }
    let extends = |class: Class| op.allows(class);
    let all = entries.iter().all(|entry| extends(entry.class));
    if all { Ok(()) } else { Err(Refusal::ClassNotAllowed) }
}
