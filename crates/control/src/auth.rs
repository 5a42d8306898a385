//! A token after the login: checking and revoking it, its claims; and the password behind it.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, FaultKind, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_plane::auth::{
    ChangePassword, DescribeClaims, DescribeClaimsReply, LoginProof, LoginSubject, NewPassword,
    OwnEmail, OwnEmailReply, OwnMethod, OwnMethodReply, PURPOSE_CHANGE_PASSWORD, RevokeToken,
    ValidateToken, ValidateTokenReply,
};
use keysherd_plane::{Caller, Done, method_bytes};
use keysherd_store::revoked_tokens::RevokedToken;
use keysherd_store::{auth_methods, revoked_tokens};

use crate::audit::{audit_draft, draft_of};
use crate::control::Control;
use crate::credential::check_password;
use crate::guard::Tried;
use crate::proof::is_signed_by;
use crate::session::Principal;
use crate::uid::is_uid_token;
use crate::uid::tree::revoke_alone;

/// Whether the caller's token is good. A token that leads to no account is answered without a
/// record.
///
/// # Errors
/// Only when the store is broken.
pub(crate) async fn validate(
    control: &Control,
    caller: &Caller,
    _message: ValidateToken,
) -> Result<ValidateTokenReply, Fault> {
    let (draft, reply) = match control.authenticate(caller).await {
        Ok(principal) => {
            let draft = audit_draft(caller, &principal, action::VALIDATE_TOKEN, "", Vec::new());
            (Some(draft), good(caller, &principal))
        }
        Err(rejection) if rejection.fault.kind() != FaultKind::Unauthorized => {
            return Err(control.reject(caller, *rejection).await);
        }
        Err(rejection) => {
            let draft = rejection.bearer.map(|(account, method)| {
                draft_of(caller, account, method.as_deref(), action::VALIDATE_TOKEN)
            });
            let reason = Some(rejection.fault.public().to_owned());
            (draft, ValidateTokenReply { expires: rejection.expires, reason, ..Default::default() })
        }
    };
    match draft {
        Some(draft) => {
            let valid = if reply.reason.is_none() { "true" } else { "false" };
            control.recorded(draft.with("valid", valid), Ok(reply)).await
        }
        None => Ok(reply),
    }
}

fn good(caller: &Caller, principal: &Principal) -> ValidateTokenReply {
    let uid = principal.uid.as_ref().filter(|_| is_of_uid(caller));
    let life = principal.token_expires.millis_since(principal.token_issued) / 60_000;
    ValidateTokenReply {
        expires: Some(principal.token_expires),
        ttl_minutes: uid.map_or(u32::try_from(life).ok(), |uid| Some(uid.ttl_minutes)),
        last_rotate: uid.map(|uid| uid.last_rotate),
        reason: None,
    }
}

fn is_of_uid(caller: &Caller) -> bool {
    caller.token.as_deref().is_some_and(is_uid_token)
}

/// Kills the caller's token for good.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good.
pub(crate) async fn revoke(
    control: &Control,
    caller: &Caller,
    _message: RevokeToken,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let draft = audit_draft(caller, &principal, action::REVOKE_TOKEN, "", Vec::new());
    if let Some(uid) = principal.uid.as_ref().filter(|_| is_of_uid(caller)) {
        let id = uid.id;
        let job = move |tx: &keysherd_store::Tx| revoke_alone(tx, id, now).map(|()| Done);
        return control.change(draft, Ok(job)).await;
    }
    if let Err(full) = control.sessions.revoked.make_room(now) {
        return control.recorded(draft, Err(full)).await;
    }
    let revoked = RevokedToken {
        token: principal.token_id,
        account: principal.account,
        expires: principal.token_expires,
    };
    let job = move |tx: &keysherd_store::Tx| {
        revoked_tokens::purge_expired(tx, now)?;
        revoked_tokens::insert(tx, &revoked).map(|()| Done)
    };
    control.change(draft, Ok(job)).await
}

/// The claims on the caller's token.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good.
pub(crate) async fn claims(
    control: &Control,
    caller: &Caller,
    _message: DescribeClaims,
) -> Result<DescribeClaimsReply, Fault> {
    let principal = control.principal(caller).await?;
    let draft = audit_draft(caller, &principal, action::DESCRIBE_SUB_CLAIMS, "", Vec::new());
    let claims = (*principal.claims).clone();
    control.recorded(draft, Ok(DescribeClaimsReply { claims })).await
}

/// The auth method of the caller's token.
///
/// # Errors
/// [`Fault::unauthorized`] when the token is not good.
pub(crate) async fn own_method(
    control: &Control,
    caller: &Caller,
    _message: OwnMethod,
) -> Result<OwnMethodReply, Fault> {
    let principal = control.principal(caller).await?;
    let counted_as = method_bytes(principal.account, principal.method.id);
    Ok(OwnMethodReply { access_id: principal.access_id().clone(), counted_as })
}

/// The e-mail address of the person whose token this is. Writes no record when it succeeds.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good, [`Fault::forbidden`] for one of a method
/// without an address.
pub(crate) async fn own_email(
    control: &Control,
    caller: &Caller,
    _message: OwnEmail,
) -> Result<OwnEmailReply, Fault> {
    let principal = control.principal(caller).await?;
    match own_address(&principal) {
        Ok(email) => Ok(OwnEmailReply { email: email.to_owned() }),
        Err(fault) => {
            let draft = audit_draft(caller, &principal, action::CHANGE_PASSWORD, "", Vec::new());
            control.recorded(draft, Err(fault)).await
        }
    }
}

/// Changes the password of the person whose token this is. All their tokens die, this one too.
///
/// # Errors
/// [`Fault::unauthorized`] when the proof of the current password is not good;
/// [`Fault::bad_request`] for a verifier out of bounds.
pub(crate) async fn change_password(
    control: &Control,
    caller: &Caller,
    message: ChangePassword,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::redacted("current-password"), Param::redacted("new-password")];
    let draft = audit_draft(caller, &principal, action::CHANGE_PASSWORD, "", params);
    let proven = match check_password(&message.new) {
        Ok(()) => {
            let purpose = PURPOSE_CHANGE_PASSWORD;
            prove_password(control, caller, purpose, &principal.method, &message.proof).await
        }
        Err(fault) => Err(fault),
    };
    let plan = proven.map(|()| {
        let (account, id, generation) =
            (principal.account, principal.method.id, principal.method.generation);
        move |tx: &keysherd_store::Tx| {
            let method = auth_methods::by_id(tx, account, id)?;
            let mut method =
                method.filter(|method| method.generation == generation).ok_or_else(|| {
                    Fault::conflict("the password was changed meanwhile; log in again")
                })?;
            set_password(&mut method, &message.new, now);
            auth_methods::update(tx, &method).map(|_| Done)
        }
    });
    control.change(draft, plan).await
}

/// Demands a proof of the password in force, and counts wrong ones as wrong logins: whoever holds
/// a stolen token must not get more guesses than whoever holds none.
///
/// # Errors
/// [`Fault::unauthorized`]; [`keysherd_base::FaultKind::RateLimited`] while no password is tried.
pub(crate) async fn prove_password(
    control: &Control,
    caller: &Caller,
    purpose: &'static str,
    method: &AuthMethod,
    proof: &LoginProof,
) -> Result<(), Fault> {
    let now = control.now();
    let MethodDetail::Email { email, public_key, .. } = &method.detail else {
        return Err(without_password());
    };
    control.check_time_of_proof(proof.signed_at, now)?;
    let who = Tried::Person(email);
    let attempt = control.guard.admit(who, caller.client.address, false, now);
    let attempt = attempt.map_err(|refused| refused.fault())?;
    let subject = LoginSubject::Email { email: email.clone(), account: None };
    if is_signed_by(public_key, purpose, &subject, proof) {
        let kept = control.keep_cleared(attempt.good(now));
        control.use_up(proof, now)?;
        return kept.await;
    }
    if let Some(row) = attempt.wrong(now).row {
        control.keep_wrong(row, None, None, now).await?;
    }
    Err(Fault::unauthorized("the current password is not right; check it, or ask an administrator"))
}

fn own_address(principal: &Principal) -> Result<&str, Fault> {
    match &principal.method.detail {
        MethodDetail::Email { email, .. } => Ok(email),
        MethodDetail::ApiKey { .. } | MethodDetail::Member { .. } => Err(without_password()),
    }
}

fn without_password() -> Fault {
    Fault::forbidden(
        "this token is not of an e-mail login, so it has no password; log in with e-mail and \
         password, or use reset-access-key",
    )
}

fn set_password(method: &mut AuthMethod, new: &NewPassword, now: Timestamp) {
    if let MethodDetail::Email {
        public_key,
        salt,
        memory_kib,
        iterations,
        parallelism,
        password_set,
        ..
    } = &mut method.detail
    {
        *public_key = new.public_key;
        *salt = new.params.salt;
        *memory_kib = new.params.memory_kib;
        *iterations = new.params.iterations;
        *parallelism = new.params.parallelism;
        *password_set = now;
    }
    method.generation = method.generation.saturating_add(1);
    method.modified = now;
}
