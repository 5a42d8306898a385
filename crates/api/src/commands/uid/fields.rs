//! What several commands of universal identity have in common.

use keysherd_base::{BadId, Fault, UidTokenId};
use keysherd_wire::{Field, Text};
use serde::Serialize;

/// The method whose tree it is.
pub(super) const AUTH_METHOD_NAME: Field<Text> =
    Field::text("auth-method-name", "The auth method; without it, the tree of uid-token.");

/// A value of a token.
#[derive(Serialize)]
pub(super) struct TokenReply {
    pub(super) token: String,
}

/// A token's public id from an argument.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn token_id(field: &Field<Text>, text: &str) -> Result<UidTokenId, Fault> {
    let bad = |bad: BadId| {
        Fault::bad_request(format!(
            "invalid value of '{}': {bad}; uid-list-children shows the ids",
            field.name()
        ))
    };
    UidTokenId::parse(text).map_err(bad)
}
