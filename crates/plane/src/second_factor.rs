//! Second factors of people, and what the owner alone may do.
//!
//! Whoever changes a second factor proves the password afresh: a token is not enough.

use keysherd_base::ItemPath;
use serde::{Deserialize, Serialize};

use crate::auth::{LoginProof, LoginSubject};

/// Purpose of proofs in this file's messages.
pub const PURPOSE_SECOND_FACTOR: &str = "second-factor";
/// The code of a refusal that asks for a one-time code.
pub const CODE_WANTED: &str = "SecondFactorRequired";
/// The code of a refusal that asks for a second factor to be set up.
pub const CODE_NOT_SET_UP: &str = "SecondFactorNotSetUp";
/// Purpose of a proof that gives the account to somebody else.
pub const PURPOSE_TRANSFER: &str = "transfer-ownership";

/// Asks for a seed. It is in force once [`FactorConfirm`] has shown a code of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorEnroll {
    /// Who: by e-mail.
    pub subject: LoginSubject,
    /// Proof of the password, for [`PURPOSE_SECOND_FACTOR`].
    pub proof: LoginProof,
}

/// A seed, shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct FactorEnrollReply {
    /// The seed in base32, to be typed.
    pub secret: String,
    /// The seed as an address, for a QR code.
    pub uri: String,
}

/// Puts the seed in force by a code of it. Tokens from before die.
#[derive(Clone, Serialize, Deserialize)]
pub struct FactorConfirm {
    /// Who: by e-mail.
    pub subject: LoginSubject,
    /// Proof of the password, for [`PURPOSE_SECOND_FACTOR`].
    pub proof: LoginProof,
    /// A code.
    pub otp: String,
}

/// What stands for codes when the app is lost, shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct FactorConfirmReply {
    /// Each is good for one login.
    pub recovery_codes: Vec<String>,
}

/// Takes a second factor away. Where one is demanded, the next login asks for another.
#[derive(Clone, Serialize, Deserialize)]
pub struct FactorRemove {
    /// Who: by e-mail.
    pub subject: LoginSubject,
    /// Proof of the password, for [`PURPOSE_SECOND_FACTOR`].
    pub proof: LoginProof,
    /// A code, or a recovery code.
    pub otp: String,
}

/// Makes somebody else the account's owner. For the owner alone.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnerTransfer {
    /// The auth method of the next owner, by e-mail and password.
    pub path: ItemPath,
    /// Proof of the owner's password, for [`PURPOSE_TRANSFER`].
    pub proof: LoginProof,
    /// A code, or a recovery code; for an owner with a second factor.
    pub otp: Option<String>,
}

/// Seals the owner, or opens the seal: while it is there the owner's tokens reach no item, key or
/// target and give no rights. For the owner alone, with a second factor.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnerSeal {
    /// What is wanted.
    pub sealed: bool,
    /// A code, or a recovery code.
    pub otp: String,
}
