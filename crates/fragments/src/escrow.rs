//! Recovery escrow: what a manager seals to the owner's recovery key, and how the managers' shares
//! come back when all of them are lost (design 5.11).
//!
//! An export has every key version of one manager, each sealed by HPKE with the associated data
//!
//! ```text
//! "KSF1/recovery" 00 | deployment 16 | manager u8 | identity key 32 | account 16 | key id 16
//! | version u32 | epoch u32
//! ```
//! and is signed by that manager, because anybody can seal to a public key. Of t managers' exports
//! at one epoch every manager's shares follow: leg G by interpolation, each leg-S key from one of
//! its holders. All of it is held against public shares and check values, as in a repair.

use keysherd_base::{Rng, Secret, SecretBytes, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::hpke;
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use zeroize::Zeroizing;

use crate::bundle::pinned::PinnedBundle;
use crate::encoding::{Encoding, Reader, Writer};
use crate::epoch::SignedRecord;
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::manifest::{KeyVersion, MANIFEST_BYTES_MAX};
use crate::refusal::Refusal;
use crate::repair::KeyNotes;
use crate::share::KeyShares;

mod drill;
mod restore;

pub use drill::{DrillFailed, drill};
pub use restore::{Recovered, recover};

const FORMAT: u8 = 1;
/// Most key versions of one export.
pub const EXPORT_KEYS_MAX: usize = 100_000;
/// Longest sealed key version, in bytes: 35 leg-S keys, a manifest and the record of an epoch.
const SEALED_BYTES_MAX: usize = 16 * 1024;
/// Longest export, in bytes.
pub const EXPORT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// One manager's fragments, sealed to a recovery key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The deployment.
    pub deployment: Uid,
    /// Whose fragments.
    pub manager: ManagerIndex,
    /// The key it proves itself with, and signs the export with.
    pub identity: PublicKey,
    /// SHA-256 of the recovery key.
    pub recovery_sha256: [u8; 32],
    /// When it was made.
    pub made_at: Timestamp,
    /// The key versions, ascending.
    pub keys: Vec<ExportedKey>,
}

/// One key version of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedKey {
    /// Which.
    pub key: KeyVersion,
    /// The epoch of its shares.
    pub epoch: u32,
    /// The fragments and what is known of the key version, sealed.
    pub sealed: Vec<u8>,
}

/// An opened key version of an export.
pub struct OpenedKey {
    /// The fragments.
    pub shares: KeyShares,
    /// What is known of the key version.
    pub notes: KeyNotes,
    /// The record of the epoch; `None` at epoch 0.
    pub record: Option<SignedRecord>,
}

impl Export {
    /// An export without key versions.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when `recovery_key` is no public key.
    pub fn begin(
        deployment: Uid,
        manager: ManagerIndex,
        identity: PublicKey,
        recovery_key: &[u8],
        made_at: Timestamp,
    ) -> Result<Self, Refusal> {
        if !hpke::is_public_key(recovery_key) {
            return Err(Refusal::Malformed);
        }
        let recovery_sha256 = sha256(&[recovery_key]);
        Ok(Self { deployment, manager, identity, recovery_sha256, made_at, keys: Vec::new() })
    }

    /// Adds a key version, sealed to `recovery_key`. They are added in ascending order.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for another recovery key than the one it began with, another
    /// manager's shares or too many of them; [`Refusal::RandomnessFailed`].
    pub fn add(
        &mut self,
        recovery_key: &[u8],
        shares: &KeyShares,
        notes: &KeyNotes,
        record: Option<&SignedRecord>,
        rng: &dyn Rng,
    ) -> Result<(), Refusal> {
        let of_this = shares.g().manager() == self.manager
            && sha256(&[recovery_key]) == self.recovery_sha256
            && self.keys.len() < EXPORT_KEYS_MAX;
        if !of_this {
            return Err(Refusal::Malformed);
        }
        let (key, epoch) = (shares.key(), shares.epoch());
        let associated = self.associated(&key, epoch);
        let plain = plaintext(shares, notes, record);
        let sealed = hpke::seal(recovery_key, labels::RECOVERY, &associated, plain.expose(), rng);
        let sealed = sealed.map_err(|failed| match failed {
            hpke::SealFailed::Random => Refusal::RandomnessFailed,
            hpke::SealFailed::PublicKey => Refusal::Malformed,
        })?;
        self.keys.push(ExportedKey { key, epoch, sealed });
        Ok(())
    }

    /// Opens one of its key versions with the seed of the recovery key.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when it does not open, or is not what the export says.
    pub fn open_key(
        &self,
        exported: &ExportedKey,
        seed: &Secret<[u8; 32]>,
    ) -> Result<OpenedKey, Refusal> {
        let associated = self.associated(&exported.key, exported.epoch);
        let plain = hpke::open(seed, labels::RECOVERY, &associated, &exported.sealed);
        let plain = plain.map_err(|_| Refusal::BadRecord)?;
        let opened = read_plaintext(&plain).map_err(|_| Refusal::BadRecord)?;
        let as_said = opened.shares.key() == exported.key
            && opened.shares.epoch() == exported.epoch
            && opened.shares.g().manager() == self.manager;
        if as_said { Ok(opened) } else { Err(Refusal::BadRecord) }
    }

    /// What a sealed key version is bound to.
    fn associated(&self, key: &KeyVersion, epoch: u32) -> Vec<u8> {
        [
            labels::RECOVERY,
            self.deployment.as_bytes(),
            &[self.manager.get()],
            self.identity.as_bytes(),
            key.account.0.as_bytes(),
            key.id.as_bytes(),
            &key.version.to_be_bytes(),
            &epoch.to_be_bytes(),
        ]
        .concat()
    }

    /// The file of the export.
    pub fn seal(&self, identity: &SigningKey) -> SignedExport {
        let body = self.to_bytes();
        let signature = identity.sign(labels::SIGN_RECOVERY, &body);
        SignedExport { body, signature }
    }
}

fn plaintext(shares: &KeyShares, notes: &KeyNotes, record: Option<&SignedRecord>) -> SecretBytes {
    let mut to = Writer::with_capacity(SEALED_BYTES_MAX);
    to.array(5).bytes(shares.to_record().expose());
    to.bytes(&notes.manifest).uid(&notes.session).bytes(&notes.gateway);
    let record: Vec<&SignedRecord> = record.into_iter().collect();
    to.list(&record, |to, record| record.write(to));
    SecretBytes::new(to.finish())
}

fn read_plaintext(plain: &SecretBytes) -> Result<OpenedKey, Refusal> {
    let mut from = Reader::new(plain.expose());
    from.array(5)?;
    let record = Zeroizing::new(from.bytes(SEALED_BYTES_MAX)?.to_vec());
    let shares = KeyShares::from_record(&SecretBytes::new(record.to_vec()))?;
    let notes = KeyNotes {
        manifest: from.bytes(MANIFEST_BYTES_MAX)?.to_vec(),
        session: from.uid()?,
        gateway: from.fixed()?,
    };
    let record = from.list(1, SignedRecord::read)?.pop();
    let opened = OpenedKey { shares, notes, record };
    let again = plaintext(&opened.shares, &opened.notes, opened.record.as_ref());
    if again.expose() == plain.expose() { Ok(opened) } else { Err(Refusal::Malformed) }
}

impl Encoding for Export {
    const BYTES_MAX: usize = EXPORT_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(7).uint(FORMAT).uid(&self.deployment).uint(self.manager.get());
        to.bytes(self.identity.as_bytes()).bytes(&self.recovery_sha256).time(self.made_at);
        to.list(&self.keys, |to, exported| {
            to.array(3);
            exported.key.write(to);
            to.uint(exported.epoch).bytes(&exported.sealed);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(7)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        let export = Self {
            deployment: from.uid()?,
            manager: from.manager()?,
            identity: from.public_key()?,
            recovery_sha256: from.fixed()?,
            made_at: from.time()?,
            keys: from.list(EXPORT_KEYS_MAX, |from| {
                from.array(3)?;
                let (key, epoch) = (KeyVersion::read(from)?, from.u32()?);
                Ok(ExportedKey { key, epoch, sealed: from.bytes(SEALED_BYTES_MAX)?.to_vec() })
            })?,
        };
        let ascending = export.keys.is_sorted_by(|a, b| a.key < b.key);
        if ascending { Ok(export) } else { Err(Refusal::Malformed) }
    }
}

/// An export and its manager's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedExport {
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// By the manager's identity key.
    pub signature: Signature,
}

impl Encoding for SignedExport {
    const BYTES_MAX: usize = EXPORT_BYTES_MAX + 128;

    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.body).bytes(&self.signature.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let body = from.bytes(EXPORT_BYTES_MAX)?.to_vec();
        Ok(Self { body, signature: from.signature()? })
    }
}

impl SignedExport {
    /// The export, when the manager signed it that the bundle names under its index, now or before.
    ///
    /// # Errors
    /// [`Refusal::Malformed`]; [`Refusal::WrongManager`] for another deployment, a manager that the
    /// bundle does not know, and a signature that is not that manager's.
    pub fn verify(&self, bundle: &PinnedBundle) -> Result<Export, Refusal> {
        let export = Export::from_bytes(&self.body)?;
        let bundle = bundle.bundle();
        let entry = bundle.manager(export.manager).ok_or(Refusal::WrongManager)?;
        let known = entry.key == export.identity || entry.former_keys.contains(&export.identity);
        let signed = || {
            let identity = &export.identity;
            identity.verify(labels::SIGN_RECOVERY, &self.body, &self.signature)
        };
        let right = export.deployment == bundle.deployment && known && signed();
        if right { Ok(export) } else { Err(Refusal::WrongManager) }
    }
}
