//! Signing in, and the token afterwards. Proofs only: no access key and no password comes here.

use keysherd_base::{AccessId, AccountId, Timestamp};
use keysherd_domain::claims::SubClaims;
use serde::{Deserialize, Serialize};

use crate::admission::Ticket;
use crate::claimed::MethodBytes;

/// Label under which a login proof is signed; the body is [`LoginProof::signed_body`].
pub const LOGIN_LABEL: &str = "KS1-sig/login";

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginSubject {
    /// An auth method by its access id.
    AccessId(AccessId),
    /// A person by e-mail; the account is needed when the address has several.
    Email {
        /// The address as typed.
        email: String,
        /// The account.
        account: Option<AccountId>,
    },
}

/// A signature with the key whose seed is the access key (or the stretched password).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginProof {
    /// When it was signed; accepted within 60 s of control's clock.
    pub signed_at: Timestamp,
    /// Fresh random bytes; a nonce is accepted once.
    pub nonce: [u8; 16],
    /// Ed25519 over [`LoginProof::signed_body`].
    #[serde(with = "signature_bytes")]
    pub signature: [u8; 64],
}

impl LoginProof {
    /// What is signed: purpose, subject, time and nonce, each with its length in front.
    pub fn signed_body(
        purpose: &str,
        subject: &LoginSubject,
        signed_at: Timestamp,
        nonce: &[u8; 16],
    ) -> Vec<u8> {
        let (kind, name) = match subject {
            LoginSubject::AccessId(id) => (1_u8, id.as_str().to_owned()),
            LoginSubject::Email { email, .. } => (2, email.to_lowercase()),
        };
        let mut body = Vec::with_capacity(64 + purpose.len() + name.len());
        for part in [purpose.as_bytes(), &[kind], name.as_bytes()] {
            body.extend_from_slice(&(part.len() as u64).to_be_bytes());
            body.extend_from_slice(part);
        }
        body.extend_from_slice(&signed_at.0.to_be_bytes());
        body.extend_from_slice(nonce);
        body
    }
}

/// Purpose of a proof that signs in.
pub const PURPOSE_LOGIN: &str = "login";
/// Purpose of a proof that changes a password.
pub const PURPOSE_CHANGE_PASSWORD: &str = "change-password";

/// Asks how to stretch a password. Unknown addresses get a stable made-up salt, so that the answer
/// does not tell which addresses exist. Writes no audit record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordParams {
    /// The address.
    pub email: String,
    /// The account, when the address has several.
    pub account: Option<AccountId>,
}

/// How to stretch a password with Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordParamsReply {
    /// The salt.
    pub salt: [u8; 16],
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// Signs in.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Who.
    pub subject: LoginSubject,
    /// The proof, for [`PURPOSE_LOGIN`].
    pub proof: LoginProof,
    /// A person's one-time or recovery code, where one is demanded.
    pub otp: Option<String>,
}

/// Signs in with what somebody else made: what the gateway half of a family member calls evidence.
#[derive(Clone, Serialize, Deserialize)]
pub struct Present {
    /// The auth method.
    pub access_id: AccessId,
    /// Its kind, as the bearer said: evidence for another kind is not even looked at.
    pub kind: String,
    /// The evidence. Never a password or a private key; but the token of an issuer is good at
    /// everybody whom it is for.
    pub evidence: String,
    /// Where the gateway asked others: what it was admitted with.
    pub ticket: Option<Ticket>,
}

/// Says that a gateway's own check found a bearer not good, so that the refusal is recorded. It
/// always comes back as a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PresentRefused {
    /// The auth method, as the bearer said.
    pub access_id: AccessId,
    /// Its kind.
    pub kind: String,
    /// What is wrong, for the log. Nothing secret.
    pub why: String,
    /// As in [`Present`]; without one, nothing was tried that could be guessed.
    pub ticket: Option<Ticket>,
}

/// A fresh token.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginReply {
    /// The bearer token, `t-...`.
    pub token: String,
    /// When it ends.
    pub expires: Timestamp,
    /// The auth method.
    pub access_id: AccessId,
}

/// Asks whether the caller's token is good. Never fails for a bad one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidateToken;

/// What is known of a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ValidateTokenReply {
    /// When it ends, if it is genuine.
    pub expires: Option<Timestamp>,
    /// How long it lives from login or rotation, in minutes, if it is good.
    pub ttl_minutes: Option<u32>,
    /// When it was rotated last, for universal identity.
    pub last_rotate: Option<Timestamp>,
    /// Why it is not good; `None` when it is.
    pub reason: Option<String>,
}

/// Kills the caller's token for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokeToken;

/// Asks for the claims on the caller's token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DescribeClaims;

/// The claims on a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DescribeClaimsReply {
    /// Claim name to values.
    pub claims: SubClaims,
}

/// A new verifier for a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewPassword {
    /// How it was stretched.
    pub params: PasswordParamsReply,
    /// The resulting public key.
    pub public_key: [u8; 32],
}

/// Changes the password of the person whose token this is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangePassword {
    /// Proof of the current password, for [`PURPOSE_CHANGE_PASSWORD`]; the subject is the
    /// caller's own address.
    pub proof: LoginProof,
    /// The new verifier.
    pub new: NewPassword,
}

/// Asks which auth method a token is of. Writes no audit record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnMethod;

/// The auth method behind a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnMethodReply {
    /// Its public name.
    pub access_id: AccessId,
    /// Its account and number, as [`crate::claimed_method`] reads them from bearer tokens.
    pub counted_as: MethodBytes,
}

/// Asks for the address of the person whose token this is. Writes no audit record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnEmail;

/// The address behind a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnEmailReply {
    /// The address.
    pub email: String,
}

mod signature_bytes {
    //! Serde for 64-byte arrays, which serde itself does not cover.
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 64], s: S) -> Result<S::Ok, S::Error> {
        bytes.as_slice().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 64], D::Error> {
        let bytes = Vec::<u8>::deserialize(d)?;
        bytes.try_into().map_err(|_| D::Error::custom("a signature has 64 bytes"))
    }
}
