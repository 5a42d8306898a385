//! Repair: a manager that lost its fragments, or missed a refresh, gets them again (design 5.11).
//!
//! Leg G: t helpers give the manager its own share, and neither it nor any of them learns another
//! one (FROST's repairable threshold scheme). FROST only sums what helpers send; here the sum is
//! compared with the public share that the manifest, or the record of the epoch, states for this
//! manager. Leg S: each key is sent by a helper that holds it too, and compared with the manifest's
//! check value.
//!
//! 1. `Begin`: the manager sends [`RepairParams`] to t helpers. Each splits its part of the share
//!    at random and sends the pieces to the other helpers ([`RepairDeltas`]).
//! 2. `Collect`: with all pieces there, each helper answers with the sum of those it got, the leg-S
//!    keys both hold, the manifest and the record of the epoch ([`RepairHelp`]).
//!
//! Helpers help whom the owner's trust bundle names under the index, on the connection of that
//! manager, and nobody else: whoever holds a manager's identity key *is* that manager until the
//! owner replaces it.

use keysherd_base::{Secret, Uid};
use keysherd_crypto::hash::sha256;

use crate::encoding::{Encoding, Reader, Writer};
use crate::epoch::SignedRecord;
use crate::labels;
use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::manifest::{KeyVersion, MANIFEST_BYTES_MAX};
use crate::refusal::Refusal;

mod frost;
mod helping;
mod run;

pub use helping::{Held, Helping};
pub(crate) use run::is_of_bundle;
pub use run::{Admitted, RepairRun};

const FORMAT: u8 = 1;
/// Most key versions of one batch.
pub const REPAIR_KEYS_MAX: usize = 64;
/// Most leg-S keys of one manager: 20 in 4-of-7.
const LEG_S_KEYS_MAX: usize = 35;

/// Which shares are to be repaired, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairParams {
    /// Random id of this run.
    pub session: Uid,
    /// Whose shares.
    pub manager: ManagerIndex,
    /// Who helps: exactly t others.
    pub helpers: ManagerSet,
    /// The threshold of all the keys.
    pub threshold: Threshold,
    /// The key versions, ascending, with the epoch the helpers are at.
    pub keys: Vec<(KeyVersion, u32)>,
}

impl RepairParams {
    /// The hash by which helpers know that they do the same.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[labels::REPAIR_PARAMETERS, &self.to_bytes()])
    }

    fn check(&self) -> Result<(), Refusal> {
        let all = self.threshold.managers();
        let fits = self.helpers.is_within(all)
            && self.helpers.len() == self.threshold.t()
            && all.contains(self.manager)
            && !self.helpers.contains(self.manager);
        if !fits {
            return Err(Refusal::NotAllParticipants);
        }
        let ascending = self.keys.is_sorted_by(|a, b| a.0 < b.0) && !self.keys.is_empty();
        if ascending { Ok(()) } else { Err(Refusal::BadEntries) }
    }
}

impl Encoding for RepairParams {
    fn write(&self, to: &mut Writer) {
        to.array(6).uint(FORMAT).uid(&self.session).uint(self.manager.get());
        to.uint(self.helpers.bits()).threshold(self.threshold);
        to.list(&self.keys, |to, (key, epoch)| {
            to.array(2);
            key.write(to);
            to.uint(*epoch);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        let params = Self {
            session: from.uid()?,
            manager: from.manager()?,
            helpers: from.managers()?,
            threshold: from.threshold()?,
            keys: from.list(REPAIR_KEYS_MAX, |from| {
                from.array(2)?;
                Ok((KeyVersion::read(from)?, from.u32()?))
            })?,
        };
        params.check()?;
        Ok(params)
    }
}

/// What one helper hands to one other: for each key a piece of its part of the share.
#[derive(Debug)]
pub struct RepairDeltas {
    /// The run.
    pub session: Uid,
    /// Whose shares are repaired.
    pub manager: ManagerIndex,
    /// [`RepairParams::hash`] as the sender knows it.
    pub params_sha256: [u8; 32],
    /// The sender. The receiver checks it against the connection.
    pub from: ManagerIndex,
    /// The receiver.
    pub to: ManagerIndex,
    /// One piece for each key.
    pub deltas: Vec<Secret<[u8; 32]>>,
}

impl Encoding for RepairDeltas {
    const BYTES_MAX: usize = 192 + 40 * REPAIR_KEYS_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(6).uid(&self.session).uint(self.manager.get()).bytes(&self.params_sha256);
        to.uint(self.from.get()).uint(self.to.get());
        to.list(&self.deltas, |to, delta| {
            to.bytes(delta.expose());
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        Ok(Self {
            session: from.uid()?,
            manager: from.manager()?,
            params_sha256: from.fixed()?,
            from: from.manager()?,
            to: from.manager()?,
            deltas: from.list(REPAIR_KEYS_MAX, Reader::secret_32)?,
        })
    }
}

/// What is known of a key version beside its fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNotes {
    /// The manifest's bytes, as its managers signed them.
    pub manifest: Vec<u8>,
    /// The generation it came from.
    pub session: Uid,
    /// The gateway that coordinated that.
    pub gateway: [u8; 32],
}

/// What a helper gives for one key version.
#[derive(Debug)]
pub struct RepairHelp {
    /// The sum of the pieces this helper got.
    pub sigma: Secret<[u8; 32]>,
    /// The leg-S keys that both hold, by ascending holder set.
    pub leg_s: Vec<(ManagerSet, Secret<[u8; 32]>)>,
    /// What is known of the key version.
    pub notes: KeyNotes,
    /// The record of the epoch; `None` at epoch 0.
    pub record: Option<SignedRecord>,
}

impl RepairHelp {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.array(6).bytes(self.sigma.expose());
        to.list(&self.leg_s, |to, (set, key)| {
            to.array(2).uint(set.bits()).bytes(key.expose());
        });
        let KeyNotes { manifest, session, gateway } = &self.notes;
        to.bytes(manifest).uid(session).bytes(gateway);
        to.list(self.record.as_slice(), |to, record| record.write(to));
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        Ok(Self {
            sigma: from.secret_32()?,
            leg_s: from.list(LEG_S_KEYS_MAX, |from| {
                from.array(2)?;
                Ok((from.managers()?, from.secret_32()?))
            })?,
            notes: KeyNotes {
                manifest: from.bytes(MANIFEST_BYTES_MAX)?.to_vec(),
                session: from.uid()?,
                gateway: from.fixed()?,
            },
            record: from.list(1, SignedRecord::read)?.pop(),
        })
    }
}
