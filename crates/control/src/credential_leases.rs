//! Temporary credentials: that one is about to be made, was made, or was not; who has which; and
//! ending them sooner or later. Removing them is work that gateways ask for ([`work`]).
//!
//! Nothing of it is in memory: what is due is in an index of the store, so a restart has nothing to
//! load, and every node of control decides alike.

pub(crate) mod made;
pub(crate) mod owned;
pub(crate) mod report;
pub(crate) mod turns;
pub(crate) mod work;

#[cfg(test)]
mod tests;

use keysherd_audit::Param;
use keysherd_base::{Fault, Uid};
use keysherd_domain::engine::EngineFacts;
use keysherd_domain::item::Item;

/// Stands for the command in audit records: nobody asked for this now.
const COMMAND: &str = "remove-temporary-credentials";

/// What is known of a dynamic secret.
///
/// # Errors
/// [`Fault::bad_request`] for an item that is none.
fn engine_of(item: &Item) -> Result<&EngineFacts, Fault> {
    item.engine.as_ref().ok_or_else(|| {
        Fault::bad_request(format!(
            "{} is a {}, not a dynamic secret; name one that is",
            item.called(),
            item.kind.type_name()
        ))
    })
}

/// The parameter of an audit record that names a credential.
fn lease_param(lease: Uid) -> Param {
    Param::public("tmp_creds_id", lease.to_string())
}
