//! Challenges that control makes for those who want to sign in.

use keysherd_base::AccessId;
use serde::{Deserialize, Serialize};

/// Asks for a challenge. Whether there is such a method makes no difference. Writes no audit
/// record; the login does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeMake {
    /// The auth method.
    pub access_id: AccessId,
    /// SHA-256 of what will be presented with the answer, such as a certificate.
    pub subject: [u8; 32],
}

/// A challenge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeMakeReply {
    /// To be signed, and returned as it is.
    pub challenge: Vec<u8>,
}
