//! What gateways report for the audit log.

use std::borrow::Cow;

use keysherd_audit::{Draft, Failure, Param, action};
use keysherd_base::{Fault, FaultKind};
use keysherd_plane::{Audited, Caller, NOTE_ABOUT_MAX, Note};

use crate::audit::{audit_draft, draft_of};
use crate::authorize::log_unrecorded;
use crate::control::Control;

/// Records what a gateway reports about a request.
///
/// A failure is recorded whenever the token leads to an account, be it good or not, and is
/// otherwise logged only. A success needs a good token, where there is one.
///
/// # Errors
/// [`Fault::unauthorized`] for a success with a token that is not good.
pub(crate) async fn note(
    control: &Control,
    caller: &Caller,
    message: Note,
) -> Result<Audited, Fault> {
    if message.about.len() > NOTE_ABOUT_MAX {
        return Err(Fault::bad_request(format!("a note about more than {NOTE_ABOUT_MAX} things")));
    }
    let about = message.about.into_iter().map(|(what, value)| Param::public(what.name(), value));
    let Some(kind) = message.failure else {
        return success(control, caller, about.collect()).await;
    };
    let detail = about.chain([Param::public("error", message.detail.clone())]).collect();
    let draft = match control.authenticate(caller).await {
        Ok(principal) => audit_draft(caller, &principal, action::REFUSED_REQUEST, "", detail),
        Err(rejection) => match rejection.bearer {
            Some((account, method)) => Draft {
                params: detail,
                ..draft_of(caller, account, method.as_deref(), action::REFUSED_REQUEST)
            },
            None => {
                log_unrecorded(caller, &Fault::new(kind, message.detail));
                return Ok(Audited);
            }
        },
    };
    record(control, draft, Some(kind)).await
}

async fn success(control: &Control, caller: &Caller, about: Vec<Param>) -> Result<Audited, Fault> {
    if caller.token.is_none() {
        // A command that takes no token and asked for nothing else: no account to record it in.
        return Ok(Audited);
    }
    let principal = control.principal(caller).await?;
    let mut draft = audit_draft(caller, &principal, action::REFUSED_REQUEST, "", about);
    draft.action = Cow::Owned(caller.command.replace('-', "_"));
    record(control, draft, None).await
}

async fn record(
    control: &Control,
    draft: Draft,
    failure: Option<FaultKind>,
) -> Result<Audited, Fault> {
    control.store.record(vec![(draft, failure.map(Failure::from))]).await?;
    Ok(Audited)
}
