//! Readers of what bearers bring back, as functions of bytes: for the fuzz targets, which have no
//! control plane. Nothing else calls them, and they tell nothing that the bytes do not say.

use keysherd_crypto::token::TokenKey;

use crate::audit_log::page::PageState;
use crate::session::token::TokenBody;
use crate::uid::{is_uid_token, value};

/// Reads the body of a bearer token whose seal was good, and writes it again.
pub fn token_body(bytes: &[u8]) -> Option<Vec<u8>> {
    TokenBody::from_bytes(bytes)?.to_bytes().ok()
}

/// Reads the body of a page token of the audit log whose seal was good, and writes it again.
pub fn page_body(bytes: &[u8]) -> Option<Vec<u8>> {
    PageState::from_bytes(bytes).map(|(binding, state)| state.to_bytes(&binding))
}

/// Reads a value of a universal-identity token: the token's number, and the value's among those
/// it had.
pub fn uid_value(key: &TokenKey, text: &str) -> Option<(i64, u32)> {
    let presented = value::parse(key, text).filter(|_| is_uid_token(text))?;
    Some((presented.token, presented.value.number))
}
