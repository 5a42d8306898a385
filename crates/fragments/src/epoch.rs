//! Epochs of leg G: the record that says which public shares are in force (design 5.4, 5.10).
//!
//! A refresh gives a key version other shares of the same key. Its record names the new public
//! shares of all n managers; every manager that took part signs it, after its new share is durable.
//! A record proves itself: at least t managers signed, so one that tells the truth did, and the
//! public shares interpolate to the group key of the manifest. No owner has to sign.

use keysherd_base::Uid;
use keysherd_crypto::sign::Signature;

use crate::bundle::ManagerEntry;
use crate::bundle::pinned::PinnedBundle;
use crate::encoding::{Encoding, Reader, Writer};
use crate::labels;
use crate::manager_set::{MANAGERS_MAX, ManagerSet, Threshold};
use crate::manifest::{KeyVersion, TrustedManifest};
use crate::refusal::Refusal;

const FORMAT: u8 = 1;
/// Longest record in bytes: seven public shares and the head.
pub const RECORD_BYTES_MAX: usize = 512;

/// Which public shares of a key version are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// Which key version.
    pub key: KeyVersion,
    /// The epoch, from 1; the shares of the manifest are epoch 0. Numbers of refreshes that came to
    /// nothing are left out.
    pub epoch: u32,
    /// The refresh it came from.
    pub session: Uid,
    /// Who took part, and has to sign.
    pub participants: ManagerSet,
    /// The public shares of managers 1 to n. Those of managers that did not take part follow from
    /// the others; whoever repairs such a manager's share checks it against them.
    pub public_shares: Vec<[u8; 32]>,
}

/// How many managers have to take part in a refresh: t, and more than half, so that two refreshes
/// at one time share a manager.
pub fn participants_min(threshold: Threshold) -> u8 {
    threshold.t().max(threshold.n() / 2 + 1)
}

impl Encoding for EpochRecord {
    const BYTES_MAX: usize = RECORD_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(6).uint(FORMAT);
        self.key.write(to);
        to.uint(self.epoch).uid(&self.session).uint(self.participants.bits());
        to.list(&self.public_shares, |to, point| {
            to.bytes(point);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            key: KeyVersion::read(from)?,
            epoch: from.u32()?,
            session: from.uid()?,
            participants: from.managers()?,
            public_shares: from.list(usize::from(MANAGERS_MAX), Reader::fixed)?,
        })
    }
}

/// A record's bytes and the signatures of everyone who took part, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// One signature of each participant.
    pub signatures: Vec<Signature>,
}

impl Encoding for SignedRecord {
    const BYTES_MAX: usize = RECORD_BYTES_MAX + 70 * MANAGERS_MAX as usize;

    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.body);
        to.list(&self.signatures, |to, signature| {
            to.bytes(&signature.0);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let body = from.bytes(RECORD_BYTES_MAX)?.to_vec();
        Ok(Self { body, signatures: from.list(usize::from(MANAGERS_MAX), Reader::signature)? })
    }
}

impl SignedRecord {
    /// Verifies the record against the managers of `bundle` and gives `manifest`, of any epoch, at
    /// this one.
    ///
    /// # Errors
    /// [`Refusal::BadEpochRecord`] unless enough managers took part, all of them signed, it is of
    /// this key version, and its public shares fit the group key; [`Refusal::BadPoint`].
    pub fn verify(
        &self,
        bundle: &PinnedBundle,
        manifest: &TrustedManifest,
    ) -> Result<TrustedManifest, Refusal> {
        let bad = Refusal::BadEpochRecord;
        let record = EpochRecord::from_bytes(&self.body).map_err(|_| bad)?;
        let threshold = manifest.manifest().threshold;
        let fits = record.key == manifest.manifest().key
            && record.epoch > 0
            && record.participants.is_within(threshold.managers())
            && record.participants.len() >= participants_min(threshold)
            && self.signatures.len() == usize::from(record.participants.len());
        if !fits {
            return Err(bad);
        }
        for (manager, signature) in record.participants.iter().zip(&self.signatures) {
            let entry = bundle.bundle().manager(manager).ok_or(bad)?;
            if !self.is_by(entry, signature) {
                return Err(bad);
            }
        }
        manifest.at_epoch(record.epoch, record.public_shares)
    }

    /// Its epoch; 0 for a body that is no record.
    pub fn epoch(&self) -> u32 {
        EpochRecord::from_bytes(&self.body).map_or(0, |record| record.epoch)
    }

    fn is_by(&self, entry: &ManagerEntry, signature: &Signature) -> bool {
        std::iter::once(&entry.key)
            .chain(&entry.former_keys)
            .any(|key| key.verify(labels::SIGN_EPOCH, &self.body, signature))
    }
}
