//! The plaintexts of the store's records.

use keysherd_base::{Secret, SecretBytes, Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, Signature};
use keysherd_fragments::encoding::Signed;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};

use crate::log::Checkpoint;

/// What a manager was installed as: its own key and whom it obeys.
pub(crate) struct Pin {
    /// The seed of its identity key.
    pub(crate) seed: Secret<[u8; 32]>,
    /// The owner key it was installed with.
    pub(crate) owner: PublicKey,
}

impl Pin {
    pub(super) fn to_bytes(&self) -> SecretBytes {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.seed.expose());
        bytes.extend_from_slice(self.owner.as_bytes());
        SecretBytes::new(bytes)
    }

    pub(super) fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        let (seed, owner) = bytes.expose().split_first_chunk::<32>()?;
        Some(Self { seed: Secret::new(*seed), owner: PublicKey::from_slice(owner)? })
    }
}

/// Whether a key version is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// This manager signed the manifest. Nobody has shown that the others did.
    Pending {
        /// When it is erased unless it was used by then.
        expires_at: Timestamp,
    },
    /// In use.
    Enabled,
    /// Erased for good by its owner; the record stays so that the version never comes back.
    Destroyed,
}

/// What is known publicly about a key version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// Whether it is usable.
    pub(crate) state: KeyState,
    /// The generation session it came from.
    pub(crate) session: Uid,
    /// The gateway that coordinated it.
    pub(crate) gateway: [u8; 32],
    /// The manifest's bytes, as this manager signed them.
    pub(crate) manifest: Vec<u8>,
}

impl KeyRecord {
    pub(super) fn to_bytes(&self) -> SecretBytes {
        let mut to = Encoder::new(Vec::with_capacity(64 + self.manifest.len()));
        self.encode(&mut to).expect("invariant: writing to memory does not fail");
        SecretBytes::new(to.into_writer())
    }

    fn encode(
        &self,
        to: &mut Encoder<Vec<u8>>,
    ) -> Result<(), EncodeError<std::convert::Infallible>> {
        let (state, expires_at) = match self.state {
            KeyState::Pending { expires_at } => (1, expires_at.0),
            KeyState::Enabled => (2, 0),
            KeyState::Destroyed => (4, 0),
        };
        to.array(5)?.u8(state)?.i64(expires_at)?;
        to.bytes(self.session.as_bytes())?.bytes(&self.gateway)?.bytes(&self.manifest)?;
        Ok(())
    }

    pub(super) fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        Self::decode(&mut Decoder::new(bytes.expose())).ok().flatten()
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Option<Self>, DecodeError> {
        if from.array()? != Some(5) {
            return Ok(None);
        }
        let (number, expires_at) = (from.u8()?, Timestamp(from.i64()?));
        let state = match number {
            1 => KeyState::Pending { expires_at },
            2 => KeyState::Enabled,
            4 => KeyState::Destroyed,
            _ => return Ok(None),
        };
        let Ok(session) = Uid::from_slice(from.bytes()?) else { return Ok(None) };
        let Ok(gateway) = from.bytes()?.try_into() else { return Ok(None) };
        Ok(Some(Self { state, session, gateway, manifest: from.bytes()?.to_vec() }))
    }
}

/// What is remembered of the newest order about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRecord {
    /// The order as the owner signed it.
    pub(crate) signed: Signed,
    /// Of an order to destroy: when its key version is erased.
    pub(crate) destroy_at: Option<Timestamp>,
}

impl OrderRecord {
    pub(super) fn to_bytes(&self) -> SecretBytes {
        let mut to = Encoder::new(Vec::with_capacity(512));
        let at = self.destroy_at.map_or(NEVER, |at| at.0);
        let encode = |to: &mut Encoder<Vec<u8>>| -> Result<(), EncodeError<_>> {
            to.array(3)?.bytes(&self.signed.body)?.bytes(&self.signed.signature.0)?.i64(at)?;
            Ok::<(), EncodeError<std::convert::Infallible>>(())
        };
        encode(&mut to).expect("invariant: writing to memory does not fail");
        SecretBytes::new(to.into_writer())
    }

    pub(super) fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        let mut from = Decoder::new(bytes.expose());
        if from.array().ok()? != Some(3) {
            return None;
        }
        let body = from.bytes().ok()?.to_vec();
        let signature = Signature::from_slice(from.bytes().ok()?)?;
        let at = from.i64().ok()?;
        let destroy_at = (at != NEVER).then_some(Timestamp(at));
        Some(Self { signed: Signed { body, signature }, destroy_at })
    }
}

/// Stands for "it erases nothing".
const NEVER: i64 = i64::MIN;

pub(super) fn floor_bytes(at: &Checkpoint) -> SecretBytes {
    SecretBytes::new([at.size.to_be_bytes().as_slice(), &at.head].concat())
}

pub(super) fn floor_from(bytes: &SecretBytes) -> Option<Checkpoint> {
    let (size, head) = bytes.expose().split_first_chunk::<8>()?;
    Some(Checkpoint { size: u64::from_be_bytes(*size), head: head.try_into().ok()? })
}
