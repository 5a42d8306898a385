//! Refresh: new leg-G shares of the same key, without a dealer (design 5.10).
//!
//! Each manager that takes part deals a random sharing of zero; a share and the zeros dealt to it
//! add up to the share of the next epoch. Whoever stole shares of a past epoch has nothing that
//! combines with those of a later one, and no ciphertext changes. The control plane takes no part.
//!
//! One of the managers coordinates a batch of key versions and sees public messages only; secret
//! shares go from manager to manager.
//!
//! 1. `Begin`: the coordinator sends [`RefreshParams`]; each participant answers with its signed
//!    [`Statement`]: commitments to a polynomial per key, whose value at zero is zero.
//! 2. `Exchange`: all statements go to each participant, which verifies them and sends every other
//!    one its [`RefreshDeal`]. A deal names the hash of all statements its sender saw.
//! 3. `Collect`: each participant adds up its new shares, in memory, and answers with its signed
//!    [`Collected`]: the hash of each epoch record, and one derivation of the self-test class under
//!    the old and under the new share.
//! 4. `Prepare`: all of these go to each participant. It compares the records, has every run of t
//!    managers derive, before and after, and compares that too. Then it keeps the new shares
//!    *beside* the old ones, durably, and only then signs the records.
//! 5. `Commit`: a record with the signatures of all participants proves that every one of them has
//!    its new share on disk. Whoever sees it takes the new share and erases the old one.
//!
//! There is no abort: shares that were prepared stay beside the current ones until a later epoch is
//! committed, because another manager may have committed them. So a crash at any step leaves t
//! managers with shares of one epoch. The number of an epoch is never used twice.

use keysherd_base::{Secret, SecretBytes, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::Signature;

use crate::encoding::{Encoding, MESSAGE_BYTES_MAX, Reader, Writer};
use crate::epoch::participants_min;
use crate::labels;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};
use crate::manifest::KeyVersion;
use crate::refusal::Refusal;
use crate::share::KeyShares;

mod call;
mod frost;
mod run;
mod session;

pub use call::{CheckedRefresh, RefreshCall, RefreshRequest, check_refresh};
pub(crate) use frost::packages_of;
pub use run::{RefreshRun, RunStep};
pub use session::{RefreshSession, Source};

const FORMAT: u8 = 1;
/// Most key versions of one batch.
pub const REFRESH_KEYS_MAX: usize = 128;

/// A key version that is to be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshKey {
    /// Which.
    pub key: KeyVersion,
    /// The epoch all participants are at.
    pub from: u32,
    /// The epoch that comes of it: higher than any that a participant has ever prepared.
    pub to: u32,
}

/// What is to be refreshed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshParams {
    /// Random id of this run.
    pub session: Uid,
    /// Who coordinates; one of the participants.
    pub coordinator: ManagerIndex,
    /// Who takes part.
    pub participants: ManagerSet,
    /// The threshold of all the keys.
    pub threshold: Threshold,
    /// Salt of the self-test derivations.
    pub salt: [u8; 32],
    /// The key versions, ascending, 1 to [`REFRESH_KEYS_MAX`].
    pub keys: Vec<RefreshKey>,
}

impl RefreshParams {
    /// The hash by which all messages of the run name its parameters.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[labels::REFRESH_PARAMETERS, &self.to_bytes()])
    }

    fn check(&self) -> Result<(), Refusal> {
        let fits = self.participants.is_within(self.threshold.managers())
            && self.participants.len() >= participants_min(self.threshold)
            && self.participants.contains(self.coordinator);
        if !fits {
            return Err(Refusal::NotAllParticipants);
        }
        let ascending = self.keys.is_sorted_by(|a, b| a.key < b.key);
        let forward = self.keys.iter().all(|key| key.from < key.to);
        let ok = ascending && forward && !self.keys.is_empty();
        if ok { Ok(()) } else { Err(Refusal::BadEntries) }
    }
}

impl Encoding for RefreshParams {
    fn write(&self, to: &mut Writer) {
        to.array(7).uint(FORMAT).uid(&self.session).uint(self.coordinator.get());
        to.uint(self.participants.bits()).threshold(self.threshold).bytes(&self.salt);
        to.list(&self.keys, |to, key| {
            to.array(3);
            key.key.write(to);
            to.uint(key.from).uint(key.to);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(7)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        let params = Self {
            session: from.uid()?,
            coordinator: from.manager()?,
            participants: from.managers()?,
            threshold: from.threshold()?,
            salt: from.fixed()?,
            keys: from.list(REFRESH_KEYS_MAX, |from| {
                from.array(3)?;
                Ok(RefreshKey { key: KeyVersion::read(from)?, from: from.u32()?, to: from.u32()? })
            })?,
        };
        params.check()?;
        Ok(params)
    }
}

/// What a manager says to all others in round 1; it is signed with its identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// [`RefreshParams::hash`].
    pub params_sha256: [u8; 32],
    /// Who speaks.
    pub manager: ManagerIndex,
    /// For each key the commitments to the t-1 coefficients that are not zero.
    pub commitments: Vec<Vec<[u8; 32]>>,
}

impl Encoding for Statement {
    fn write(&self, to: &mut Writer) {
        to.array(3).bytes(&self.params_sha256).uint(self.manager.get());
        to.list(&self.commitments, |to, points| {
            to.list(points, |to, point| {
                to.bytes(point);
            });
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self {
            params_sha256: from.fixed()?,
            manager: from.manager()?,
            commitments: from.list(REFRESH_KEYS_MAX, |from| {
                from.list(usize::from(MANAGERS_MAX), Reader::fixed)
            })?,
        })
    }
}

/// What one manager hands to one other, over the managers' own mutually authenticated link.
#[derive(Debug)]
pub struct RefreshDeal {
    /// The run.
    pub session: Uid,
    /// The sender. The receiver checks it against the connection.
    pub from: ManagerIndex,
    /// The receiver.
    pub to: ManagerIndex,
    /// Hash of the statements the sender saw.
    pub view_sha256: [u8; 32],
    /// For each key the sender's polynomial at the receiver's index.
    pub shares: Vec<Secret<[u8; 32]>>,
}

impl Encoding for RefreshDeal {
    const BYTES_MAX: usize = 128 + 40 * REFRESH_KEYS_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(5).uid(&self.session).uint(self.from.get()).uint(self.to.get());
        to.bytes(&self.view_sha256);
        to.list(&self.shares, |to, share| {
            to.bytes(share.expose());
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(5)?;
        Ok(Self {
            session: from.uid()?,
            from: from.manager()?,
            to: from.manager()?,
            view_sha256: from.fixed()?,
            shares: from.list(REFRESH_KEYS_MAX, Reader::secret_32)?,
        })
    }
}

/// What a manager computed for one key version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectedKey {
    /// SHA-256 of the epoch record as it sees it.
    pub record_sha256: [u8; 32],
    /// Its point for the self-test context under the old share.
    pub before: [u8; 32],
    /// And under the new one.
    pub after: [u8; 32],
}

/// What a manager computed; it is signed with its identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// [`RefreshParams::hash`].
    pub params_sha256: [u8; 32],
    /// Who speaks.
    pub manager: ManagerIndex,
    /// One for each key.
    pub keys: Vec<CollectedKey>,
}

impl Encoding for Collected {
    fn write(&self, to: &mut Writer) {
        to.array(3).bytes(&self.params_sha256).uint(self.manager.get());
        to.list(&self.keys, |to, key| {
            to.array(3).bytes(&key.record_sha256).bytes(&key.before).bytes(&key.after);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self {
            params_sha256: from.fixed()?,
            manager: from.manager()?,
            keys: from.list(REFRESH_KEYS_MAX, |from| {
                from.array(3)?;
                Ok(CollectedKey {
                    record_sha256: from.fixed()?,
                    before: from.fixed()?,
                    after: from.fixed()?,
                })
            })?,
        })
    }
}

/// Shares of an epoch that is not committed, kept beside the current ones.
pub struct Shelved {
    /// The epoch.
    pub epoch: u32,
    /// The record's bytes.
    pub body: Vec<u8>,
    /// This manager's signature over them.
    pub signature: Signature,
    /// The shares.
    pub shares: KeyShares,
}

impl Shelved {
    /// The record to keep, encrypted, at rest.
    pub fn to_record(&self) -> SecretBytes {
        let shares = self.shares.to_record();
        let mut to = Writer::with_capacity(self.body.len() + shares.expose().len() + 128);
        to.array(4).uint(self.epoch).bytes(&self.body).bytes(&self.signature.0);
        to.bytes(shares.expose());
        SecretBytes::new(to.finish())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] for anything that [`Self::to_record`] did not write.
    pub fn from_record(record: &[u8]) -> Result<Self, Refusal> {
        let mut from = Reader::new(record);
        let mut read = || {
            from.array(4)?;
            let (epoch, body) = (from.u32()?, from.bytes(MESSAGE_BYTES_MAX)?.to_vec());
            let signature = from.signature()?;
            let shares = SecretBytes::new(from.bytes(MESSAGE_BYTES_MAX)?.to_vec());
            let shares = KeyShares::from_record(&shares)?;
            Ok(Self { epoch, body, signature, shares })
        };
        read().map_err(|_: Refusal| Refusal::BadRecord)
    }
}
