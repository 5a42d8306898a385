//! Whether the settings that all auth methods share are within bounds.

use keysherd_base::limits::{
    CLAIM_NAME_BYTES_MAX, CLIENT_TYPE_BYTES_MAX, DESCRIPTION_BYTES_MAX, LIST_LEN_MAX,
};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::account::Account;
use keysherd_domain::auth_method::MethodShared;

/// Demands settings within bounds. Those that are in force already (`before`) may stay when time
/// or the account's settings have gone past them.
///
/// # Errors
/// [`Fault::bad_request`] names the setting and what it may be.
pub(crate) fn check_shared(
    shared: &MethodShared,
    before: Option<&MethodShared>,
    account: &Account,
    now: Timestamp,
) -> Result<(), Fault> {
    check_description(&shared.description)?;
    check_texts("audit-logs-claims", &shared.audit_claims, CLAIM_NAME_BYTES_MAX)?;
    check_texts("allowed-client-type", &shared.allowed_client_types, CLIENT_TYPE_BYTES_MAX)?;
    check_texts("subclaims-delimiters", &shared.sub_claim_delimiters, CLIENT_TYPE_BYTES_MAX)?;
    check_texts("product-type", &shared.product_types, CLIENT_TYPE_BYTES_MAX)?;
    check_length("bound-ips", shared.bound_ips.len())?;
    check_length("gw-bound-ips", shared.gateway_bound_ips.len())?;
    check_length("expiration-event-in", shared.expiration_event_days.len())?;
    let expires_as_before = before.is_some_and(|it| it.access_expires == shared.access_expires);
    if !expires_as_before && shared.access_expires.is_some_and(|end| end <= now) {
        return Err(Fault::bad_request(
            "access-expires lies in the past; give a later time, or 0 for never",
        ));
    }
    let bounds = account.settings.token_ttl;
    let minutes = shared.token_ttl_minutes;
    let lasts_as_before = before.is_some_and(|it| it.token_ttl_minutes == minutes);
    if minutes != 0 && !lasts_as_before && !(bounds.minimum..=bounds.maximum).contains(&minutes) {
        return Err(Fault::bad_request(format!(
            "jwt-ttl is {minutes} minutes; the account allows {} to {}, or 0 for its default of {}",
            bounds.minimum, bounds.maximum, bounds.default
        )));
    }
    Ok(())
}

/// Demands a description within bounds.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_description(text: &str) -> Result<(), Fault> {
    if text.len() <= DESCRIPTION_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "the description is {} bytes long; at most {DESCRIPTION_BYTES_MAX} are allowed",
        text.len()
    )))
}

/// Demands at most [`LIST_LEN_MAX`] elements.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_length(name: &str, length: usize) -> Result<(), Fault> {
    if length <= LIST_LEN_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "{name} has {length} elements; at most {LIST_LEN_MAX} are allowed"
    )))
}

/// Demands at most [`LIST_LEN_MAX`] texts of 1 to `bytes_max` bytes without control characters.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_texts(name: &str, texts: &[String], bytes_max: usize) -> Result<(), Fault> {
    check_length(name, texts.len())?;
    let good = |text: &String| {
        !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
    };
    if texts.iter().all(good) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "an element of {name} is empty, longer than {bytes_max} bytes or holds a control character"
    )))
}
