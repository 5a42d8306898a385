//! The self-test of a fresh key version: every quorum derives the same key (design 5.4).
//!
//! Its class is 0x7f, which managers derive under a `Generate` permit only, and for no real item.

use keysherd_base::Uid;

use super::WriteCombiner;
use crate::context::{Class, ContextFields};
use crate::manager_set::ManagerSet;
use crate::manifest::KeyVersion;
use crate::permit::{PermitEntry, Subject};
use crate::refusal::Refusal;

/// The context of the self-test of `key`, with a salt the gateway drew.
pub fn context_fields(key: &KeyVersion, salt: [u8; 32]) -> ContextFields {
    ContextFields {
        class: Class::SelfTest,
        account: key.account,
        key_id: key.id,
        key_version: key.version,
        item_id: Uid::default(),
        item_version: 0,
        salt,
    }
}

/// The entry to ask a permit for, in order to generate and test `key`.
pub fn permit_entry(key: &KeyVersion, salt: [u8; 32], subject: Subject) -> PermitEntry {
    let fields = context_fields(key, salt);
    PermitEntry {
        key_id: fields.key_id,
        key_version: fields.key_version,
        class: fields.class,
        item_id: fields.item_id,
        item_version: fields.item_version,
        salt: fields.salt,
        subject,
    }
}

/// Whether all managers proved, and every run of t neighbors, which together are all managers and
/// two quorums at least where t < n, derives the same keys.
///
/// # Errors
/// [`Refusal::NotAllParticipants`] unless all n managers gave a valid answer;
/// [`Refusal::SelfTestFailed`].
pub fn passes(combiner: &WriteCombiner) -> Result<(), Refusal> {
    let threshold = combiner.batch().threshold();
    if combiner.valid() != threshold.managers() {
        return Err(Refusal::NotAllParticipants);
    }
    let mut commitments = (0..=threshold.n() - threshold.t()).map(|before| {
        let quorum = ManagerSet::first(before + threshold.t()).minus(ManagerSet::first(before));
        let keys = combiner.derive(quorum, quorum)?;
        Some(keys.into_iter().map(|key| key.commitment).collect::<Vec<_>>())
    });
    let first = commitments.next().flatten().ok_or(Refusal::SelfTestFailed)?;
    let same = { commitments }.all(|other| other.as_ref() == Some(&first));
    if same { Ok(()) } else { Err(Refusal::SelfTestFailed) }
}
