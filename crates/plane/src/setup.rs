//! Making an account through a gateway, before anybody can sign in.
//!
//! What stands for a login here is a token that control's own machine wrote into a file: whoever
//! can read that file installs the deployment. It is good for one account.

use std::sync::Arc;

use keysherd_base::{AccessId, KeyId, Uid};
use serde::{Deserialize, Serialize};

use crate::auth::NewPassword;
use crate::grants::SignedPermit;

/// The content of control's file. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupToken(pub Arc<str>);

/// Asks whether an account exists: a setup that was cut off goes on from there. Writes no audit
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupLook {
    /// The account.
    pub account: Uid,
}

/// Whether it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupLookReply {
    /// Whether it exists.
    pub exists: bool,
}

/// Asks for a permit to make the original key of an account that does not exist yet. Writes no
/// audit record; [`SetupComplete`] does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupBegin {
    /// The right to ask.
    pub token: SetupToken,
    /// The account, drawn by the gateway.
    pub account: Uid,
    /// The key, drawn by the gateway.
    pub key_id: KeyId,
    /// Salt of the self-test derivation, drawn by the gateway.
    pub self_test_salt: [u8; 32],
}

/// Permission to make the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupBeginReply {
    /// The key group fixed in its manifest.
    pub group: String,
    /// As in [`KeyBeginReply`](crate::keys::KeyBeginReply), without a subject.
    pub permit: SignedPermit,
}

/// Makes the account, and uses up the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupComplete {
    /// The right to ask.
    pub token: SetupToken,
    /// The account.
    pub account: Uid,
    /// The owner's e-mail address.
    pub owner_email: String,
    /// The verifier of the owner's password.
    pub owner_password: NewPassword,
    /// The verifier of the first administrator's access key.
    pub admin_public_key: [u8; 32],
    /// The first administrator's access id, drawn by the gateway.
    pub admin_access_id: AccessId,
    /// The original key.
    pub key_id: KeyId,
    /// Its manifest and signatures, opaque to control.
    #[serde(with = "crate::octets")]
    pub manifest: Arc<[u8]>,
    /// Number of managers.
    pub managers: u8,
    /// How many are needed.
    pub threshold: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
}
