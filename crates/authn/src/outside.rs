//! Readers of what comes from outside the gateway, as functions of bytes: for the fuzz targets,
//! which have no cluster to ask. Nothing else calls them.

use keysherd_base::{Fault, SecretString};

use crate::Identity;
use crate::methods::k8s;

/// The service account's token in what a bearer gave as one.
pub fn service_account_token(given: &SecretString) -> Option<SecretString> {
    k8s::given_token(given)
}

/// Whom an API server names that answers a review of `token` with `answer`.
///
/// # Errors
/// As a login with it.
pub fn token_review(token: &SecretString, answer: &[u8]) -> Result<Identity, Fault> {
    k8s::named(token, answer)
}
