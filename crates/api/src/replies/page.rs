//! Pagination tokens: the base64 of `{"i":"<last path>"}`, as clients know them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Token {
    i: String,
}

/// The token that continues after `last`.
pub(crate) fn token(last: &str) -> Result<String, Fault> {
    let json = serde_json::to_vec(&Token { i: last.to_owned() }).map_err(Fault::internal)?;
    Ok(STANDARD.encode(json))
}

/// The path a token continues after.
pub(crate) fn after(token: &str) -> Result<String, Fault> {
    let invalid =
        || Fault::bad_request("invalid value of 'pagination-token': give the next_page of a page");
    let json = STANDARD.decode(token).map_err(|_| invalid())?;
    let token: Token = serde_json::from_slice(&json).map_err(|_| invalid())?;
    Ok(token.i)
}
