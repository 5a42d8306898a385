//! Settings as JSON: those that control stored, and those that a gateway offers.

use keysherd_base::Fault;
use serde::de::DeserializeOwned;

/// Settings that were checked before they were stored.
///
/// # Errors
/// [`Fault::internal`] when they are something else.
pub(crate) fn stored<S: DeserializeOwned>(settings: &str) -> Result<S, Fault> {
    serde_json::from_str(settings).map_err(Fault::internal)
}

/// Settings from a gateway that may be anybody's; what they say is still to be checked.
///
/// # Errors
/// [`Fault::bad_request`] without the text, which may hold a secret.
pub(crate) fn offered<S: DeserializeOwned>(settings: &str) -> Result<S, Fault> {
    serde_json::from_str(settings)
        .map_err(|_| Fault::bad_request("the settings are not those of this kind of auth method"))
}
