//! Drafts of audit records: the one place where what is known of a request becomes one.

use std::sync::Arc;

use keysherd_audit::{Draft, Param};
use keysherd_base::AccountId;
use keysherd_domain::auth_method::AuthMethod;
use keysherd_plane::Caller;

use crate::session::Principal;

/// The draft of a request by a known bearer. `item_type` is empty where there is no item.
///
/// Parameters are public names of objects and choices; see [`Param`] for what must not be in them.
pub(crate) fn audit_draft(
    caller: &Caller,
    principal: &Principal,
    action: &'static str,
    item_type: &'static str,
    params: Vec<Param>,
) -> Draft {
    Draft {
        unique_id: Arc::clone(&principal.unique_id),
        sub_claims: Arc::clone(&principal.audited_claims),
        item_type: item_type.into(),
        params,
        ..draft_of(caller, principal.account, Some(&principal.method), action)
    }
}

/// The draft of a request whose bearer is not proven: a login, or a token that is not accepted.
/// `method` is then the one it names.
pub(crate) fn draft_of(
    caller: &Caller,
    account: AccountId,
    method: Option<&AuthMethod>,
    action: &'static str,
) -> Draft {
    let mut draft =
        Draft::new(account, caller.request, Arc::clone(&caller.command), action, caller.received);
    draft.client_address = Some(caller.client.address.to_canonical());
    draft.client_type = Arc::clone(&caller.client.kind);
    if let Some(method) = method {
        draft.access_id = Some(method.access_id.clone());
        draft.access_type = method.detail.kind_label();
    }
    draft
}
