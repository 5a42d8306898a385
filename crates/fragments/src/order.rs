//! Orders of the owner: what only the owner may have done at the managers (design 5.8).
//!
//! An order is a small statement that the owner signs offline. Anybody may carry it to the
//! managers, and nobody but the owner can make one: a control plane that was taken over can neither
//! destroy nor freeze a key. Carrying an order twice, late or in another sequence gains nothing
//! either: it ends with [`OwnerOrder::expires_at`], and of the orders about one [`Target`] a
//! manager obeys only those that were issued later than the last one it obeyed.

use keysherd_base::{AccountId, KeyId, Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::bundle::GROUP_BYTES_MAX;
use crate::encoding::{Encoding, Reader, Signed, Writer};
use crate::labels;
use crate::manifest::KeyVersion;
use crate::refusal::Refusal;

mod report;
#[cfg(test)]
mod tests;

pub use report::{Condition, DestroyReceipt, KeyReport, REPORTS_MAX};

/// Longest life of an order in milliseconds: 30 days.
pub const ORDER_LIFE_MS_MAX: i64 = 30 * 24 * 3_600 * 1_000;
/// How far the owner's clock may be ahead of a manager's, in milliseconds: 5 minutes. An owner's
/// machine is offline and its clock is set by hand.
pub const ORDER_SKEW_MS: i64 = 5 * 60 * 1_000;
/// Longest encoding of an order in bytes.
pub const ORDER_BYTES_MAX: usize = 256;

const FORMAT: u8 = 1;

/// What the owner wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerOrder {
    /// The deployment, as in the trust bundle.
    pub deployment: Uid,
    /// Random id, by which people and logs speak of the order.
    pub order_id: Uid,
    /// When the owner signed; the newest order about a target counts.
    pub issued_at: Timestamp,
    /// The last moment at which a manager takes it, at most [`ORDER_LIFE_MS_MAX`] later.
    pub expires_at: Timestamp,
    /// What to do.
    pub action: OrderAction,
}

/// What an order does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAction {
    /// Erase the fragments of a key version for good, after the bundle's delay.
    DestroyVersion {
        /// The key version.
        key: KeyVersion,
    },
    /// Do not erase them after all.
    CancelDestroy {
        /// The key version.
        key: KeyVersion,
    },
    /// Derive nothing until [`Self::Unfreeze`].
    Freeze {
        /// Under which keys.
        scope: FreezeScope,
    },
    /// Derive again.
    Unfreeze {
        /// Under which keys.
        scope: FreezeScope,
    },
}

/// What is frozen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FreezeScope {
    /// All versions of one protection key, those to come included.
    Key {
        /// The account.
        account: AccountId,
        /// The key.
        id: KeyId,
    },
    /// All keys of a group, by its name.
    Group(String),
}

/// What an order is about. Of the orders about one target, the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Whether a key version is to be destroyed.
    Destruction(KeyVersion),
    /// Whether a key or a group is frozen.
    Freeze(FreezeScope),
}

impl OwnerOrder {
    /// Signs the order with the owner's key. The encoding of the result is what an order file
    /// holds.
    pub fn seal(&self, owner: &SigningKey) -> Signed {
        Signed::seal(owner, labels::SIGN_ORDER, self.to_bytes())
    }

    /// Opens an order that the owner signed for `deployment` and that is valid at `now`.
    ///
    /// # Errors
    /// [`Refusal::BadOrderSignature`]; [`Refusal::Malformed`]; [`Refusal::WrongDeployment`];
    /// [`Refusal::OrderNotYetValid`] when it is from the future by more than [`ORDER_SKEW_MS`];
    /// [`Refusal::OrderExpired`]; [`Refusal::OrderTooLong`].
    pub fn open(
        signed: &Signed,
        owner: &PublicKey,
        deployment: &Uid,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if !signed.is_by(owner, labels::SIGN_ORDER) {
            return Err(Refusal::BadOrderSignature);
        }
        let order = Self::from_bytes(&signed.body)?;
        if order.deployment != *deployment {
            return Err(Refusal::WrongDeployment);
        }
        let life = order.expires_at.0.saturating_sub(order.issued_at.0);
        if !(1..=ORDER_LIFE_MS_MAX).contains(&life) {
            return Err(Refusal::OrderTooLong);
        }
        if order.issued_at.0 > now.0.saturating_add(ORDER_SKEW_MS) {
            return Err(Refusal::OrderNotYetValid);
        }
        if now > order.expires_at { Err(Refusal::OrderExpired) } else { Ok(order) }
    }
}

impl OrderAction {
    /// What it is about.
    pub fn target(&self) -> Target {
        match self {
            Self::DestroyVersion { key } | Self::CancelDestroy { key } => Target::Destruction(*key),
            Self::Freeze { scope } | Self::Unfreeze { scope } => Target::Freeze(scope.clone()),
        }
    }
}

impl Encoding for OwnerOrder {
    const BYTES_MAX: usize = ORDER_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(6).uint(FORMAT).uid(&self.deployment).uid(&self.order_id);
        to.time(self.issued_at).time(self.expires_at);
        match &self.action {
            OrderAction::DestroyVersion { key } => key.write(to.array(2).uint(1_u8)),
            OrderAction::CancelDestroy { key } => key.write(to.array(2).uint(2_u8)),
            OrderAction::Freeze { scope } => scope.write(to.array(2).uint(3_u8)),
            OrderAction::Unfreeze { scope } => scope.write(to.array(2).uint(4_u8)),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            deployment: from.uid()?,
            order_id: from.uid()?,
            issued_at: from.time()?,
            expires_at: from.time()?,
            action: OrderAction::read(from)?,
        })
    }
}

impl OrderAction {
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        Ok(match from.u8()? {
            1 => Self::DestroyVersion { key: KeyVersion::read(from)? },
            2 => Self::CancelDestroy { key: KeyVersion::read(from)? },
            3 => Self::Freeze { scope: FreezeScope::read(from)? },
            4 => Self::Unfreeze { scope: FreezeScope::read(from)? },
            _ => return Err(Refusal::Malformed),
        })
    }
}

impl FreezeScope {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Key { account, id } => {
                to.array(3).uint(1_u8).uid(&account.0).uid(id);
            }
            Self::Group(name) => {
                to.array(2).uint(2_u8).text(name);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        let length = from.length(3)?;
        Ok(match (length, from.u8()?) {
            (3, 1) => Self::Key { account: AccountId(from.uid()?), id: from.uid()? },
            (2, 2) => match from.text(GROUP_BYTES_MAX)? {
                "" => return Err(Refusal::Malformed),
                name => Self::Group(name.to_owned()),
            },
            _ => return Err(Refusal::Malformed),
        })
    }
}
