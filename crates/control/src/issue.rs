//! From a proven identity to its token: what every way of signing in ends in.

use keysherd_audit::{Draft, action};
use keysherd_authn::Identity;
use keysherd_base::{Fault, Timestamp, Uid};
use keysherd_domain::account::Account;
use keysherd_domain::auth_method::AuthMethod;
use keysherd_plane::Caller;
use keysherd_plane::auth::LoginReply;

use crate::admission::admits;
use crate::audit::draft_of;
use crate::control::Control;
use crate::session::token::TokenBody;

/// Issues a token of `method` to `identity`, if account and method admit this client now, and
/// records the login either way.
///
/// # Errors
/// [`Fault::unauthorized`] when the client is not admitted; [`Fault::bad_request`] when the claims
/// do not fit a token.
pub(crate) async fn issue(
    control: &Control,
    caller: &Caller,
    method: &AuthMethod,
    identity: Identity,
    now: Timestamp,
) -> Result<LoginReply, Fault> {
    let account = control.directory.ready(method.account).await?;
    let account = account.ok_or_else(|| Fault::internal("an auth method without its account"))?;
    let mut draft = draft_of(caller, method.account, Some(method), action::AUTHENTICATE);
    draft.unique_id = identity.unique_id.as_str().into();
    let id = Uid::random(&*control.rng)?;
    let issue = || {
        admits(&account.account, method, &caller.client, now)?;
        let body = token_body(&account.account, method, id, caller, identity, now);
        let token = control.sessions.seal(&body).map_err(|_| {
            Fault::bad_request("the identity has too many claims for a token; let it carry fewer")
        })?;
        Ok((token, body))
    };
    let issued = issue();
    let draft = match &issued {
        Ok((_, body)) => draft.with("token-expires", body.expires.rfc3339()),
        Err(_) => draft,
    };
    if issued.is_ok() && account.is_owner(method) {
        let event = Draft { action: action::OWNER_SIGN_IN.into(), ..draft.clone() };
        control.recorded(event, Ok(())).await?;
    }
    let (token, body) = control.recorded(draft, issued).await?;
    Ok(LoginReply {
        token: token.expose().clone(),
        expires: body.expires,
        access_id: method.access_id.clone(),
    })
}

fn token_body(
    account: &Account,
    method: &AuthMethod,
    id: Uid,
    caller: &Caller,
    identity: Identity,
    now: Timestamp,
) -> TokenBody {
    let ttl_seconds = i64::from(token_ttl_minutes(account, method)) * 60;
    let ends = [Some(now.plus_seconds(ttl_seconds)), method.shared.access_expires, identity.ends];
    TokenBody {
        account: method.account,
        method: method.id,
        generation: method.generation,
        id,
        issued: now,
        expires: ends.into_iter().flatten().min().unwrap_or(now),
        address: caller.client.address.to_canonical(),
        unique_id: identity.unique_id,
        claims: identity.claims,
    }
}

/// How long tokens of a method last, in minutes: its own wish within the account's bounds.
pub(crate) fn token_ttl_minutes(account: &Account, method: &AuthMethod) -> u32 {
    let bounds = account.settings.token_ttl;
    match method.shared.token_ttl_minutes {
        0 => bounds.default,
        wish => wish.max(bounds.minimum).min(bounds.maximum),
    }
}
