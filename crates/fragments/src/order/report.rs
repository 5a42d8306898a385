//! What a manager says about key versions: whether they serve, and the receipt of an erased one.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::derive::CHECKPOINT_BYTES_MAX;
use crate::encoding::{Encoding, Reader, Signed, Writer};
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::manifest::KeyVersion;
use crate::refusal::Refusal;

/// Most key versions of one question about them.
pub const REPORTS_MAX: usize = 100;

const FORMAT: u8 = 1;

/// A manager's statement that it erased its fragments of a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestroyReceipt {
    /// The deployment.
    pub deployment: Uid,
    /// Who states it.
    pub manager: ManagerIndex,
    /// What was erased.
    pub key: KeyVersion,
    /// SHA-256 of the manifest of that key version.
    pub manifest_sha256: [u8; 32],
    /// The order it obeyed.
    pub order_id: Uid,
    /// SHA-256 of the order's signed body.
    pub order_sha256: [u8; 32],
    /// When, by the manager's clock.
    pub destroyed_at: Timestamp,
    /// The head of the manager's log, which has the erasure as its last entry.
    pub checkpoint: Vec<u8>,
}

impl DestroyReceipt {
    /// Signs the receipt with the manager's identity key.
    pub fn seal(&self, identity: &SigningKey) -> Signed {
        Signed::seal(identity, labels::SIGN_DESTROY_RECEIPT, self.to_bytes())
    }

    /// Opens a receipt that the manager with this identity key signed.
    ///
    /// # Errors
    /// [`Refusal::BadReceipt`] for another signer or another body.
    pub fn open(signed: &Signed, identity: &PublicKey) -> Result<Self, Refusal> {
        if !signed.is_by(identity, labels::SIGN_DESTROY_RECEIPT) {
            return Err(Refusal::BadReceipt);
        }
        Self::from_bytes(&signed.body).map_err(|_| Refusal::BadReceipt)
    }
}

impl Encoding for DestroyReceipt {
    const BYTES_MAX: usize = CHECKPOINT_BYTES_MAX + 512;

    fn write(&self, to: &mut Writer) {
        to.array(9).uint(FORMAT).uid(&self.deployment).uint(self.manager.get());
        self.key.write(to);
        to.bytes(&self.manifest_sha256).uid(&self.order_id).bytes(&self.order_sha256);
        to.time(self.destroyed_at).bytes(&self.checkpoint);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(9)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            deployment: from.uid()?,
            manager: from.manager()?,
            key: KeyVersion::read(from)?,
            manifest_sha256: from.fixed()?,
            order_id: from.uid()?,
            order_sha256: from.fixed()?,
            destroyed_at: from.time()?,
            checkpoint: from.bytes(CHECKPOINT_BYTES_MAX)?.to_vec(),
        })
    }
}

/// How a key version is at one manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This manager has never had it.
    Unknown,
    /// Made, and not in use yet.
    Pending,
    /// In use.
    Enabled,
    /// It derives nothing and is to be erased; the owner can still cancel.
    Scheduled {
        /// The order.
        order_id: Uid,
        /// When it is erased, by the manager's clock.
        destroy_at: Timestamp,
    },
    /// Erased for good.
    Destroyed,
}

/// What a manager says about one key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// Which.
    pub key: KeyVersion,
    /// How it is.
    pub condition: Condition,
    /// Whether the owner froze the key or its group.
    pub frozen: bool,
    /// The signed [`DestroyReceipt`] of an erased key version.
    pub receipt: Option<Signed>,
}

impl KeyReport {
    /// Whether the owner stopped it: nothing may be opened by way of it.
    pub fn is_stopped(&self) -> bool {
        let is_over = matches!(self.condition, Condition::Scheduled { .. } | Condition::Destroyed);
        self.frozen || is_over
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.array(4);
        self.key.write(to);
        match &self.condition {
            Condition::Unknown => to.array(1).uint(0_u8),
            Condition::Pending => to.array(1).uint(1_u8),
            Condition::Enabled => to.array(1).uint(2_u8),
            Condition::Scheduled { order_id, destroy_at } => {
                to.array(3).uint(3_u8).uid(order_id).time(*destroy_at)
            }
            Condition::Destroyed => to.array(1).uint(4_u8),
        };
        to.flag(self.frozen).array(usize::from(self.receipt.is_some()));
        if let Some(receipt) = &self.receipt {
            receipt.write(to);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(4)?;
        let key = KeyVersion::read(from)?;
        let length = from.length(3)?;
        let condition = match (length, from.u8()?) {
            (1, 0) => Condition::Unknown,
            (1, 1) => Condition::Pending,
            (1, 2) => Condition::Enabled,
            (3, 3) => Condition::Scheduled { order_id: from.uid()?, destroy_at: from.time()? },
            (1, 4) => Condition::Destroyed,
            _ => return Err(Refusal::Malformed),
        };
        let frozen = from.flag()?;
        Ok(Self { key, condition, frozen, receipt: from.list(1, Signed::read)?.pop() })
    }
}
