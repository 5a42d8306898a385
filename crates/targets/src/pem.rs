//! Keys and certificates in settings: PEM, or that in base64, as consoles hand it out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_wire::bad_setting;

/// Text in PEM, given as that or as that in base64.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn pem(field: &str, given: &str) -> Result<String, Fault> {
    let is_pem = |text: &str| text.trim_start().starts_with("-----BEGIN ");
    let found = if is_pem(given) { Some(given.to_owned()) } else { decoded(given) };
    let found = found.filter(|text| is_pem(text));
    found.ok_or_else(|| bad_setting(field, "it must be PEM, or that in base64"))
}

/// The text that base64 stands for, however it is broken into lines.
pub(crate) fn decoded(given: &str) -> Option<String> {
    let compact = SecretString::new(given.split_whitespace().collect());
    STANDARD.decode(compact.expose()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}
