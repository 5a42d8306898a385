//! Signing in with a browser: where it goes, and trips that came to nothing.

use keysherd_base::AccessId;
use serde::{Deserialize, Serialize};

/// Asks where a browser has to go to sign in. Nothing is recorded when it succeeds: nobody has
/// signed in yet.
#[derive(Clone, Serialize, Deserialize)]
pub struct BrowserDepart {
    /// The auth method.
    pub access_id: AccessId,
    /// Its kind, as the bearer said.
    pub kind: String,
    /// The URL at the gateway where the browser comes back.
    pub callback: String,
    /// Comes back with it.
    pub state: String,
    /// Comes back in the provider's statement.
    pub nonce: String,
    /// SHA-256 of what the gateway keeps to itself until then, in base64url.
    pub challenge: String,
}

/// Where the browser goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserDepartReply {
    /// A URL of the provider, `https` or on a loopback address.
    pub url: String,
}

/// Has it recorded that a browser came back and was not let in by the gateway. Always answered
/// with a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BrowserRefused {
    /// The auth method.
    pub access_id: AccessId,
    /// Why, for the record.
    pub why: String,
}
