//! The bearers of universal-identity tokens, and of bearer tokens exchanged for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_audit::action;
use keysherd_authn::Identity;
use keysherd_base::{Fault, Timestamp, Uid, UidTokenId};
use keysherd_crypto::hash::sha256;
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::uid::{UidToken, Verdict};
use keysherd_plane::Caller;
use keysherd_plane::auth::LoginReply;
use keysherd_plane::uid::UidLogin;
use keysherd_store::uid_tokens;

use super::value::{self, Presented, is_uid_token};
use super::{KIND, fresh, is_of_kind, keep, settings_of};
use crate::admission::admits;
use crate::audit::draft_of;
use crate::control::Control;
use crate::issue::issue;
use crate::session::token::TokenBody;
use crate::session::{Principal, Rejection, Sessions, UidOrigin, unknown};

/// The claim that only audit records can have: whoever makes a token chooses it, so no role may
/// depend on it.
const COMMENT_CLAIM: &str = "uid_comment";

/// A universal-identity token that was let in.
pub(super) struct Admitted {
    pub(super) principal: Principal,
    pub(super) presented: Presented,
}

/// The bearer of the caller's universal-identity token, if it is good at `now` for this client.
/// The first use of a rotation's new value puts it in force.
///
/// # Errors
/// [`Rejection`] otherwise. A value that another one has replaced costs its whole branch.
pub(crate) async fn authenticate(
    control: &Control,
    caller: &Caller,
    text: &str,
    now: Timestamp,
) -> Result<Principal, Box<Rejection>> {
    let admitted = admit(control, caller, text, now, Verdict::is_usable).await;
    admitted.map(|admitted| admitted.principal)
}

/// As [`authenticate`], for verdicts that `accepts` names.
///
/// # Errors
/// [`Rejection`].
pub(super) async fn admit(
    control: &Control,
    caller: &Caller,
    text: &str,
    now: Timestamp,
    accepts: fn(Verdict) -> bool,
) -> Result<Admitted, Box<Rejection>> {
    let Some(presented) = value::parse(control.sessions.key(), text) else {
        return Err(unknown("the universal-identity token is not valid here; ask for a new one"));
    };
    let found = control.store.read(|reader| uid_tokens::by_id(reader, presented.token));
    let Some(token) = found.map_err(broken)? else {
        return Err(unknown(
            "the universal-identity token is gone: its tree was made anew or its auth method was \
             deleted; ask for a new one",
        ));
    };
    let account = control.directory.ready(token.account).await.map_err(broken)?;
    let account = account.ok_or_else(|| unknown("the token's account does not exist"))?;
    let method = account.method_by_id(token.method).filter(|method| is_of_kind(method));
    let method = method.ok_or_else(|| unknown("the token's auth method does not exist"))?;
    let verdict = token.judge(&presented.value, now);
    if verdict == Verdict::Reused {
        revoke_for_reuse(control, caller, method, &token, presented);
    }
    if !accepts(verdict) {
        return Err(rejected(&token, method, refusal(verdict)));
    }
    admits(&account.account, method, &caller.client, now)
        .map_err(|fault| rejected(&token, method, fault))?;
    if verdict == Verdict::Acknowledges {
        put_in_force(control, method, presented);
    }
    let body = body_of(&token, method, caller, &presented);
    let hash = sha256(&[text.as_bytes()]);
    let principal = Sessions::principal_of(&account, method, hash, body).await;
    let mut principal = principal.map_err(|fault| rejected(&token, method, fault))?;
    attach(&mut principal, &token);
    Ok(Admitted { principal, presented })
}

/// Lets the bearer of a token that was exchanged for a universal-identity token in, as long as
/// that one was not revoked.
///
/// # Errors
/// [`Rejection`].
pub(crate) fn check_origin(
    control: &Control,
    mut principal: Principal,
) -> Result<Principal, Box<Rejection>> {
    if !is_of_kind(&principal.method) {
        return Ok(principal);
    }
    let method = principal.method.id;
    let found = match UidTokenId::parse(&principal.unique_id) {
        Ok(id) => control.store.read(|reader| uid_tokens::by_token_id(reader, method, &id)),
        Err(_) => Ok(None),
    };
    let found = found.map_err(broken)?;
    let Some(token) = found.filter(|token| token.revoked.is_none()) else {
        return Err(Box::new(Rejection {
            bearer: Some((principal.account, Some(Arc::clone(&principal.method)))),
            expires: Some(principal.token_expires),
            fault: Fault::unauthorized(
                "the universal-identity token that this token was exchanged for was revoked; log \
                 in again with one that is in force",
            ),
        }));
    };
    attach(&mut principal, &token);
    Ok(principal)
}

/// Exchanges the caller's universal-identity token for a bearer token, which ends with it.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good.
pub(crate) async fn login(
    control: &Control,
    caller: &Caller,
    _message: UidLogin,
) -> Result<LoginReply, Fault> {
    let now = control.now();
    let text = caller.token.as_deref().filter(|text| is_uid_token(text));
    let admitted = match text {
        Some(text) => admit(control, caller, text, now, Verdict::is_usable).await,
        None => Err(unknown("authentication failed; send a universal-identity token as uid-token")),
    };
    let Admitted { principal, .. } = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => {
            return Err(control.reject_as(caller, *rejection, action::AUTHENTICATE).await);
        }
    };
    let identity = Identity {
        unique_id: principal.unique_id.to_string(),
        claims: SubClaims::default(),
        ends: Some(principal.token_expires),
    };
    issue(control, caller, &principal.method, identity, now).await
}

/// What the bearer of a value that is not accepted is told.
pub(super) fn refusal(verdict: Verdict) -> Fault {
    let text: Cow<'static, str> = match verdict {
        Verdict::Expired(at) => format!(
            "the universal-identity token expired at {at}; ask for a new one, and rotate it in time"
        )
        .into(),
        Verdict::Revoked => "the universal-identity token was revoked; ask for a new one".into(),
        Verdict::JustRotated => {
            "the universal-identity token was just rotated; read the new one and retry".into()
        }
        Verdict::Reused => {
            "the universal-identity token had been rotated out and was used again, so it may have \
             been stolen: it was revoked with all tokens below it; ask for a new one"
                .into()
        }
        Verdict::OnlyRotates => {
            "the universal-identity token was rotated and its new value is not in use; use the \
             new one, or rotate again"
                .into()
        }
        Verdict::Unacknowledged => {
            "the rotation of this universal-identity token was not acknowledged; send \
             uid-rotate-token with the old value and this one as send-manual-ack-token"
                .into()
        }
        Verdict::Unknown | Verdict::Good | Verdict::Acknowledges | Verdict::OnTrial => {
            "the universal-identity token is not in force; ask for a new one".into()
        }
    };
    Fault::unauthorized(text)
}

/// Queues the revocation of a branch, and the event. It is durable before the refusal is recorded,
/// which is queued after it.
fn revoke_for_reuse(
    control: &Control,
    caller: &Caller,
    method: &AuthMethod,
    token: &UidToken,
    presented: Presented,
) {
    let account = token.account;
    tracing::warn!(%account, token = %token.token_id, "a rotated-out token was used: revoked");
    let mut draft = draft_of(caller, account, Some(method), action::UID_TOKEN_REUSE)
        .with("uid-token-id", token.token_id.to_string())
        .with("uid-rotation", presented.value.number.to_string());
    draft.unique_id = token.token_id.as_str().into();
    let now = control.now();
    drop(control.store.commit(vec![draft], move |tx| {
        let token = fresh(tx, presented.token)?;
        if token.judge(&presented.value, now) == Verdict::Reused {
            uid_tokens::revoke_branch(tx, token.method, &token.token_id, now)?;
        }
        Ok(())
    }));
}

/// Queues that a rotation's new value, which is being used for the first time, is in force. Every
/// record of what its bearer does is queued after it.
fn put_in_force(control: &Control, method: &AuthMethod, presented: Presented) {
    let (now, settings) = (control.now(), settings_of(method).unwrap_or_default());
    drop(control.store.commit(Vec::new(), move |tx| {
        let mut token = fresh(tx, presented.token)?;
        if token.judge(&presented.value, now) == Verdict::Acknowledges {
            token.acknowledge(&presented.value, now);
            keep(tx, &token, &settings, now)?;
        }
        Ok(())
    }));
}

fn body_of(
    token: &UidToken,
    method: &AuthMethod,
    caller: &Caller,
    presented: &Presented,
) -> TokenBody {
    let waiting = token.pending.filter(|pending| pending.living.value == presented.value);
    let living = waiting.map_or(token.current, |pending| pending.living);
    // Names this token in nothing that lasts: what ends it is in the store.
    let mut id = [0; 16];
    id[..8].copy_from_slice(&token.id.to_be_bytes());
    TokenBody {
        account: token.account,
        method: token.method,
        generation: method.generation,
        id: Uid(id),
        issued: living.made,
        expires: living.expires,
        address: caller.client.address.to_canonical(),
        unique_id: token.token_id.to_string(),
        claims: SubClaims::default(),
    }
}

/// Adds what is known of the token behind a bearer.
fn attach(principal: &mut Principal, token: &UidToken) {
    principal.uid = Some(UidOrigin {
        id: token.id,
        token_id: token.token_id.clone(),
        ttl_minutes: token.ttl_minutes,
        last_rotate: token.newest().made,
    });
    let wanted = principal.method.shared.audit_claims.iter().any(|name| name == COMMENT_CLAIM);
    if wanted && !token.comment.is_empty() {
        let mut claims: BTreeMap<_, _> = (*principal.audited_claims).clone();
        claims.insert(COMMENT_CLAIM.to_owned(), vec![token.comment.clone()]);
        principal.audited_claims = Arc::new(claims);
    }
}

fn broken(fault: Fault) -> Box<Rejection> {
    Box::new(Rejection { bearer: None, expires: None, fault })
}

fn rejected(token: &UidToken, method: &Arc<AuthMethod>, fault: Fault) -> Box<Rejection> {
    debug_assert_eq!(method.detail.kind_name(), KIND);
    let bearer = Some((token.account, Some(Arc::clone(method))));
    Box::new(Rejection { bearer, expires: Some(token.newest().expires), fault })
}
