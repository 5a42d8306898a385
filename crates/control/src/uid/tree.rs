//! The tree of a method: its root, children, revocations, and what it looks like.

use keysherd_audit::{Param, action};
use keysherd_base::limits::UID_TOKENS_PER_METHOD_MAX;
use keysherd_base::{Fault, FaultKind, Timestamp, UidTokenId};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::uid::{
    LivingValue, UidSettings, UidToken, UidValue, Verdict, check_comment, end_of_life,
};
use keysherd_plane::uid::{
    UidChild, UidGenerate, UidList, UidListReply, UidNamed, UidRevoke, UidTokenReply, UidTokenView,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Reader, Tx, uid_tokens};

use super::bearer::refusal;
use super::value;
use super::{fresh, keep, settings_of};
use crate::audit::audit_draft;
use crate::auth_methods::{find, keep_greater_safe};
use crate::control::Control;
use crate::session::{Principal, UidOrigin};

/// How often another random id is drawn for a child when one is taken.
const DRAWS_MAX: usize = 8;

/// Makes the root of a method's tree; what was there before is gone.
///
/// Whoever has it may do all that the method may, so it is refused to those who do not hold all of
/// that themselves.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the method, [`Fault::bad_request`] for a method of
/// another kind.
pub(crate) async fn generate(
    control: &Control,
    caller: &Caller,
    message: UidGenerate,
) -> Result<UidTokenReply, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::public("auth-method-name", message.method.to_string())];
    let draft = audit_draft(caller, &principal, action::UID_GENERATE_TOKEN, "", params);
    let plan = || {
        let method = find(control, &principal, &message.method, Capability::Update, now)?;
        let settings = settings_of(&method)?;
        let (control, principal) = (control.clone(), principal.clone());
        Ok(move |tx: &Tx| {
            keep_greater_safe(tx, &principal, &method, now)?;
            uid_tokens::delete_tree(tx, method.id)?;
            let id = UidTokenId::random_root(&*control.rng)?;
            let root = UidToken {
                deny_rotate: settings.deny_rotate,
                deny_inheritance: settings.deny_inheritance,
                ..blank(&method, id, settings.ttl_minutes, now)
            };
            plant(tx, &control, root, &settings, now)
        })
    };
    control.change(draft, plan()).await
}

/// Makes a child of the caller's token, or of the one named.
///
/// # Errors
/// [`Fault::forbidden`] when the parent cannot have children, the tree has no further level or no
/// room; [`Fault::bad_request`] for a life that is too long.
pub(crate) async fn child(
    control: &Control,
    caller: &Caller,
    message: UidChild,
) -> Result<UidTokenReply, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let mut params = Vec::new();
    if let Some((method, parent)) = &message.parent {
        params.push(Param::public("auth-method-name", method.to_string()));
        params.push(Param::public("uid-token-id", parent.to_string()));
    }
    let draft = audit_draft(caller, &principal, action::UID_CREATE_CHILD_TOKEN, "", params);
    let plan = || {
        let (method, parent) = parent_of(control, &principal, &message, now)?;
        let settings = settings_of(&method)?;
        let limit = settings.child_ttl_limit_minutes;
        let ttl = message.ttl_minutes.unwrap_or(settings.ttl_minutes.min(limit));
        settings.check_child_ttl(ttl).map_err(Fault::bad_request)?;
        check_comment(&message.comment).map_err(Fault::bad_request)?;
        let asks_for_own = message.parent.is_none();
        let (control, principal) = (control.clone(), principal.clone());
        Ok(move |tx: &Tx| {
            if !asks_for_own {
                keep_greater_safe(tx, &principal, &method, now)?;
            }
            check_parent(&fresh(tx, parent.id)?, &settings)?;
            if uid_tokens::count(tx, method.id)? >= UID_TOKENS_PER_METHOD_MAX {
                return Err(Fault::forbidden(format!(
                    "the auth method has {UID_TOKENS_PER_METHOD_MAX} tokens, which is the most; \
                     those that ended are forgotten after 30 days, or generate the tree anew"
                )));
            }
            let child = UidToken {
                comment: message.comment,
                deny_rotate: message.deny_rotate,
                deny_inheritance: message.deny_inheritance,
                ..blank(&method, free_id(tx, &control, method.id, &parent.token_id)?, ttl, now)
            };
            plant(tx, &control, child, &settings, now)
        })
    };
    control.change(draft, plan()).await
}

/// The parent that a message means, and its method.
fn parent_of(
    control: &Control,
    principal: &Principal,
    message: &UidChild,
    now: Timestamp,
) -> Result<(AuthMethod, UidToken), Fault> {
    match &message.parent {
        None => {
            let own = own(principal)?;
            let found = control.store.read(|reader| uid_tokens::by_id(reader, own.id))?;
            let parent = found.ok_or_else(|| refusal(Verdict::Unknown))?;
            Ok(((*principal.method).clone(), parent))
        }
        Some((path, id)) => {
            let method = find(control, principal, path, Capability::Update, now)?;
            let read = |reader: &Reader| uid_tokens::by_token_id(reader, method.id, id);
            let parent = control.store.read(read)?.ok_or_else(|| no_token(id))?;
            Ok((method, parent))
        }
    }
}

fn check_parent(parent: &UidToken, settings: &UidSettings) -> Result<(), Fault> {
    if parent.revoked.is_some() {
        return Err(refusal(Verdict::Revoked));
    }
    if parent.deny_inheritance {
        return Err(Fault::forbidden(format!(
            "token {} cannot have children; make one of another token",
            parent.token_id
        )));
    }
    if parent.token_id.depth() >= settings.tree_length {
        return Err(Fault::forbidden(format!(
            "token {} is on level {}, the last one that tree-length allows; make a child of a \
             token further up",
            parent.token_id,
            parent.token_id.depth()
        )));
    }
    Ok(())
}

fn free_id(
    tx: &Tx,
    control: &Control,
    method: i64,
    parent: &UidTokenId,
) -> Result<UidTokenId, Fault> {
    for _ in 0..DRAWS_MAX {
        let id = parent.random_child(&*control.rng)?;
        if uid_tokens::by_token_id(tx, method, &id)?.is_none() {
            return Ok(id);
        }
    }
    Err(Fault::unavailable("no free id was found for the child; try again"))
}

/// A token without a value.
fn blank(method: &AuthMethod, token_id: UidTokenId, ttl_minutes: u32, now: Timestamp) -> UidToken {
    let value = UidValue { number: 0, verifier: [0; 32] };
    UidToken {
        id: 0,
        account: method.account,
        method: method.id,
        token_id,
        comment: String::new(),
        ttl_minutes,
        deny_rotate: false,
        deny_inheritance: false,
        created: now,
        revoked: None,
        current: LivingValue { value, made: now, expires: end_of_life(now, ttl_minutes) },
        pending: None,
        replaced: None,
        numbers_used: 1,
    }
}

/// Stores a new token with its first value.
fn plant(
    tx: &Tx,
    control: &Control,
    mut token: UidToken,
    settings: &UidSettings,
    now: Timestamp,
) -> Result<UidTokenReply, Fault> {
    // The value names the token by its number, which the store gives.
    token.id = uid_tokens::insert(tx, &token, None)?;
    let (text, value) = value::issue(control.sessions.key(), &*control.rng, token.id, 1)?;
    token.current.value = value;
    keep(tx, &token, settings, now)?;
    Ok(UidTokenReply { token: text.expose().clone() })
}

/// Revokes a token, alone or with everything below it. The bearer of a token may revoke it and
/// whatever is below it; for others, `update` on the method is needed.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn revoke(
    control: &Control,
    caller: &Caller,
    message: UidRevoke,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let draft = audit_draft(caller, &principal, action::UID_REVOKE_TOKEN, "", Vec::new());
    let (draft, plan) = match target_of(control, &principal, &message, now) {
        Err(fault) => (draft, Err(fault)),
        Ok(Target { token, method }) => {
            let branch = message.branch;
            let draft = draft
                .with("uid-token-id", token.token_id.to_string())
                .with("revoke-type", if branch { "revokeAll" } else { "revokeSelf" });
            let principal = principal.clone();
            let job = move |tx: &Tx| {
                if let Some(method) = method {
                    keep_greater_safe(tx, &principal, &method, now)?;
                }
                if branch {
                    uid_tokens::revoke_branch(tx, token.method, &token.token_id, now)?;
                } else {
                    revoke_alone(tx, token.id, now)?;
                }
                Ok(Done)
            };
            (draft, Ok(job))
        }
    };
    control.change(draft, plan).await
}

/// Revokes a token and nothing below it.
///
/// # Errors
/// When it is gone.
pub(crate) fn revoke_alone(tx: &Tx, id: i64, now: Timestamp) -> Result<(), Fault> {
    let mut token = fresh(tx, id)?;
    token.revoked = Some(token.revoked.unwrap_or(now));
    uid_tokens::update(tx, &token, None)?;
    Ok(())
}

/// A token to revoke, and its method when the caller is not above the token.
struct Target {
    token: UidToken,
    method: Option<AuthMethod>,
}

fn target_of(
    control: &Control,
    principal: &Principal,
    message: &UidRevoke,
    now: Timestamp,
) -> Result<Target, Fault> {
    let named = message.method.as_ref();
    let named = named.map(|path| find(control, principal, path, Capability::Update, now));
    let named = named.transpose()?;
    let wanted = match &message.token {
        UidNamed::Id(id) => {
            let of = match &named {
                Some(method) => method.id,
                None => own(principal).map(|_| principal.method.id)?,
            };
            control.store.read(|reader| uid_tokens::by_token_id(reader, of, id))?
        }
        UidNamed::Value(text) => match value::parse(control.sessions.key(), text) {
            Some(it) => control.store.read(|reader| uid_tokens::by_id(reader, it.token))?,
            None => None,
        },
    };
    let here = |token: &UidToken| {
        token.account == principal.account
            && named.as_ref().is_none_or(|method| method.id == token.method)
    };
    let token = wanted.filter(here).ok_or_else(unknown_target)?;
    let above = principal.uid.as_ref().is_some_and(|own| {
        principal.method.id == token.method && own.token_id.has_in_branch(&token.token_id)
    });
    if above {
        return Ok(Target { token, method: None });
    }
    let method = match named {
        Some(method) => method,
        None => {
            let directory = control.directory_of(principal);
            let method = directory.method_by_id(token.method).ok_or_else(unknown_target)?;
            let (kind, path) = (RuleKind::AuthMethod, method.path.as_str());
            // The same text whether there is such a token or not.
            principal.require(kind, path, Capability::Update, now).map_err(|_| unknown_target())?;
            (**method).clone()
        }
    };
    Ok(Target { token, method: Some(method) })
}

/// Lists the tree of a method, or the caller's own token and what is below it.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`] for a method the caller may not see.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: UidList,
) -> Result<UidListReply, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let named = message.method.as_ref();
    let params = named.map(|path| Param::public("auth-method-name", path.to_string()));
    let params = params.into_iter().collect();
    let draft = audit_draft(caller, &principal, action::UID_LIST_CHILDREN, "", params);
    let which = || {
        let Some(path) = &message.method else {
            let own = own(&principal)?;
            return Ok((principal.method.id, Some(own.token_id.clone())));
        };
        let method = find(control, &principal, path, Capability::List, now)?;
        settings_of(&method)?;
        Ok((method.id, None))
    };
    let outcome = match which() {
        Err(fault) => Err(fault),
        Ok((method, top)) => {
            let read = move |reader: &Reader| uid_tokens::branch(reader, method, top.as_ref());
            control.store.read_blocking(read).await
        }
    };
    let tokens = outcome.map(|tokens| tokens.iter().map(view).collect());
    control.recorded(draft, tokens.map(|tokens| UidListReply { tokens })).await
}

fn view(token: &UidToken) -> UidTokenView {
    let newest = token.newest();
    UidTokenView {
        token_id: token.token_id.clone(),
        comment: token.comment.clone(),
        ttl_minutes: token.ttl_minutes,
        last_rotate: newest.made,
        expires: newest.expires,
        deny_rotate: token.deny_rotate,
        deny_inheritance: token.deny_inheritance,
        revoked: token.revoked.is_some(),
    }
}

fn own(principal: &Principal) -> Result<&UidOrigin, Fault> {
    principal.uid.as_ref().ok_or_else(|| {
        Fault::bad_request(
            "this token is not of a universal identity; send a u- token as uid-token, or name the \
             tree with auth-method-name",
        )
    })
}

fn no_token(id: &UidTokenId) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no token {id} in this tree; list it"))
}

fn unknown_target() -> Fault {
    Fault::not_found(
        "there is no such token that you may revoke; check revoke-token and auth-method-name",
    )
}
