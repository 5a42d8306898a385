//! Log entries about epochs: refreshes and repairs.

use keysherd_base::{AccountId, Uid};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};

use super::entry::{KeyRef, fixed, head, list};

/// A step of a refresh or a repair of some key versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochEvent {
    /// Which step.
    pub step: EpochStep,
    /// The run; zeros where it is not known.
    pub session: Uid,
    /// Who coordinates the refresh, or whose shares are repaired.
    pub manager: u8,
    /// The managers that take part, or help: bit i-1 is manager i.
    pub participants: u16,
    /// SHA-256 of the permit that asked for it; zeros when the managers do it by themselves.
    pub permit_sha256: [u8; 32],
    /// The control plane's audit record of that permit; 0 for none.
    pub audit_seq: u64,
    /// The gateway that asked; zeros for none.
    pub gateway: [u8; 32],
    /// The key versions with the epoch that is meant.
    pub keys: Vec<(AccountId, KeyRef, u32)>,
}

/// Which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EpochStep {
    /// A gateway asked for a refresh.
    Requested = 1,
    /// New shares are kept beside the current ones, and are about to be signed for.
    Prepared = 2,
    /// The new shares are in force; the old ones are erased.
    Committed = 3,
    /// The others are at an epoch of which this manager has no shares; its own are erased.
    Outdated = 4,
    /// This manager is about to help another one to get its share again.
    Helped = 5,
    /// This manager got its shares again.
    Repaired = 6,
}

impl EpochStep {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Requested,
            2 => Self::Prepared,
            3 => Self::Committed,
            4 => Self::Outdated,
            5 => Self::Helped,
            6 => Self::Repaired,
            _ => return None,
        })
    }
}

impl EpochEvent {
    pub(super) fn encode(
        &self,
        to: &mut Encoder<Vec<u8>>,
    ) -> Result<(), EncodeError<std::convert::Infallible>> {
        to.array(8)?.u8(self.step as u8)?.bytes(self.session.as_bytes())?.u8(self.manager)?;
        to.u16(self.participants)?.bytes(&self.permit_sha256)?.u64(self.audit_seq)?;
        to.bytes(&self.gateway)?.array(self.keys.len() as u64)?;
        for (account, key, epoch) in &self.keys {
            to.array(3)?.bytes(account.0.as_bytes())?;
            key.encode(to)?;
            to.u32(*epoch)?;
        }
        Ok(())
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 8)?;
        Ok(Self {
            step: EpochStep::from_number(from.u8()?)
                .ok_or_else(|| DecodeError::message("unknown step"))?,
            session: Uid(fixed(from)?),
            manager: from.u8()?,
            participants: from.u16()?,
            permit_sha256: fixed(from)?,
            audit_seq: from.u64()?,
            gateway: fixed(from)?,
            keys: list(from, |from| {
                head(from, 3)?;
                Ok((AccountId(Uid(fixed(from)?)), KeyRef::decode(from)?, from.u32()?))
            })?,
        })
    }
}
