//! Whether the rows that control sealed for itself open with the keys that it has: for checking a
//! store that was restored or carried elsewhere.

use keysherd_base::Fault;
use keysherd_domain::auth_method::MethodDetail;
use keysherd_store::{Query, accounts, auth_methods, second_factors};

use crate::control_keys::ControlKeys;
use crate::{method_secrets, second_factor};

/// Sealed rows, by whether they open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedRows {
    /// Second factors, and auth methods with secrets among their settings, that open.
    pub open: u64,
    /// Those that do not.
    pub closed: u64,
}

/// Tries to open all of them.
///
/// # Errors
/// Only when the store cannot be read.
pub fn sealed_rows(keys: &ControlKeys, q: &dyn Query) -> Result<SealedRows, Fault> {
    let mut found = SealedRows::default();
    let mut tell = |opens: bool| match opens {
        true => found.open += 1,
        false => found.closed += 1,
    };
    for account in accounts::list(q)? {
        for method in auth_methods::all_of(q, account.id)? {
            if let Some(row) = second_factors::get(q, method.id)? {
                tell(second_factor::opened(&keys.vault, &method, &row).is_ok());
            }
            let MethodDetail::Member { kind, settings } = &method.detail else { continue };
            if let Some(member) = keysherd_authn::by_kind(kind) {
                let access_id = &method.access_id;
                tell(method_secrets::opened(&keys.vault, member, access_id, settings).is_ok());
            }
        }
    }
    Ok(found)
}
