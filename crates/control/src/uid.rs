//! Universal identity: tokens `u-...` that live by being rotated.
//!
//! `keysherd_domain::uid` has the rules. Here a token is recognized ([`value`]), its bearer is let
//! in ([`bearer`]), it is rotated ([`rotate`]), its tree is managed ([`tree`]) and what is due now
//! and then is done ([`chores`]).
//!
//! A token is looked up in the store at each request, so what becomes of it is in force at the
//! next one. The same goes for bearer tokens that were exchanged for one: they carry its id.

pub(crate) mod bearer;
mod chores;
pub(crate) mod rotate;
pub(crate) mod tree;
pub(crate) mod value;

use keysherd_authn::uid_settings;
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_domain::uid::{UidSettings, UidToken};
use keysherd_store::{Tx, uid_tokens};

pub(crate) use value::is_uid_token;

/// The kind of auth methods with such tokens.
pub(crate) const KIND: &str = "universal_identity";

/// Whether the method has such tokens.
pub(crate) fn is_of_kind(method: &AuthMethod) -> bool {
    method.detail.kind_name() == KIND
}

/// What the method says about its tree.
///
/// # Errors
/// [`Fault::bad_request`] for a method of another kind.
pub(crate) fn settings_of(method: &AuthMethod) -> Result<UidSettings, Fault> {
    match &method.detail {
        MethodDetail::Member { kind, settings } if kind == KIND => uid_settings(settings),
        _ => Err(Fault::bad_request(format!(
            "auth method {} is of type {}, which has no universal-identity tokens",
            method.path,
            method.detail.kind_name()
        ))),
    }
}

/// The token as it is now.
fn fresh(tx: &Tx, id: i64) -> Result<UidToken, Fault> {
    uid_tokens::by_id(tx, id)?.ok_or_else(|| {
        Fault::unauthorized("the universal-identity token is gone; ask for a new one")
    })
}

/// Writes a token back, with the time of its next event.
fn keep(tx: &Tx, token: &UidToken, settings: &UidSettings, now: Timestamp) -> Result<(), Fault> {
    let event = token.next_event(&settings.expiration_event_percents, now);
    uid_tokens::update(tx, token, event.map(|(at, _)| at))?;
    Ok(())
}
