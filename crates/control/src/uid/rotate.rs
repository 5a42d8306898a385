//! Rotation in two phases: a new value, and its acknowledgment.

use keysherd_audit::action;
use keysherd_base::{Fault, FaultKind, Timestamp};
use keysherd_domain::uid::{UidToken, Verdict};
use keysherd_plane::uid::{UidAcknowledge, UidRotate, UidTokenReply};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, uid_tokens};

use super::bearer::{self, Admitted, refusal};
use super::value::{self, Presented};
use super::{fresh, is_of_kind, keep, settings_of};
use crate::admission::admits;
use crate::audit::{audit_draft, draft_of};
use crate::control::Control;
use crate::session::{Rejection, unknown};

/// Gives the caller's token a new value. Asked again by the old value, it gives another one: the
/// answer may have been lost.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good, [`Fault::forbidden`] for one that cannot
/// be rotated, [`Fault::conflict`] while a manual rotation is being tried out.
pub(crate) async fn rotate(
    control: &Control,
    caller: &Caller,
    message: UidRotate,
) -> Result<UidTokenReply, Fault> {
    let now = control.now();
    let accepts = |verdict: Verdict| verdict.is_usable() || verdict == Verdict::OnlyRotates;
    let text = caller.token.as_deref().unwrap_or_default();
    let Admitted { principal, presented } =
        match bearer::admit(control, caller, text, now, accepts).await {
            Ok(admitted) => admitted,
            Err(rejection) => {
                return Err(control.reject_as(caller, *rejection, action::UID_ROTATE_TOKEN).await);
            }
        };
    let draft = audit_draft(caller, &principal, action::UID_ROTATE_TOKEN, "", Vec::new())
        .with("manual-ack", if message.manual { "true" } else { "false" });
    let plan = settings_of(&principal.method).map(|settings| {
        let control = control.clone();
        move |tx: &Tx| {
            let mut token = fresh(tx, presented.token)?;
            let text = begin(&control, &mut token, &presented, message.manual, now)?;
            keep(tx, &token, &settings, now)?;
            Ok(UidTokenReply { token: text })
        }
    });
    control.change(draft, plan).await
}

/// Begins the rotation of `token`, whose value was `presented`; gives the new value's text.
fn begin(
    control: &Control,
    token: &mut UidToken,
    presented: &Presented,
    manual: bool,
    now: Timestamp,
) -> Result<String, Fault> {
    match token.judge(&presented.value, now) {
        Verdict::Good | Verdict::OnlyRotates => {}
        Verdict::Acknowledges => {
            token.acknowledge(&presented.value, now);
        }
        Verdict::OnTrial => {
            return Err(Fault::conflict(
                "this value is not in force yet; acknowledge it with send-manual-ack-token first",
            ));
        }
        other => return Err(refusal(other)),
    }
    if token.deny_rotate {
        return Err(Fault::forbidden(
            "this universal-identity token cannot be rotated; ask for a new one before it ends",
        ));
    }
    let key = control.sessions.key();
    let (text, value) = value::issue(key, &*control.rng, token.id, token.next_number())?;
    token.begin_rotation(value, manual, now);
    Ok(text.expose().clone())
}

/// Puts the new value of a rotation in force: the caller's token is the old one. May be asked
/// again, since the answer may have been lost.
///
/// # Errors
/// [`Fault::unauthorized`] when one of the values is not good, [`Fault::conflict`] when the new one
/// was given up for another one.
pub(crate) async fn acknowledge(
    control: &Control,
    caller: &Caller,
    message: UidAcknowledge,
) -> Result<Done, Fault> {
    let now = control.now();
    let pair = match both(control, caller, &message, now).await {
        Ok(pair) => pair,
        Err(rejection) => {
            let action = action::UID_ACKNOWLEDGE_TOKEN;
            return Err(control.reject_as(caller, *rejection, action).await);
        }
    };
    let Pair { old, new, token, method } = pair;
    let mut draft = draft_of(caller, token.account, Some(&method), action::UID_ACKNOWLEDGE_TOKEN);
    draft.unique_id = token.token_id.as_str().into();
    let plan = settings_of(&method).map(|settings| {
        move |tx: &Tx| {
            let mut token = fresh(tx, new.token)?;
            put_in_force(&mut token, &old, &new, now)?;
            keep(tx, &token, &settings, now)?;
            Ok(Done)
        }
    });
    control.change(draft, plan).await
}

fn put_in_force(
    token: &mut UidToken,
    old: &Presented,
    new: &Presented,
    now: Timestamp,
) -> Result<(), Fault> {
    if token.revoked.is_some() {
        return Err(refusal(Verdict::Revoked));
    }
    let is_old = token.current.value == old.value;
    let waits = token.pending.is_some_and(|pending| pending.living.value == new.value);
    // The second time, the old value is the one that was replaced.
    let is_done = token.current.value == new.value && old.value.number < new.value.number;
    if is_done || is_old && waits && token.acknowledge(&new.value, now) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Conflict,
        "the new value was given up for another one; rotate again with the value in force",
    )
    .with_code("Conflict"))
}

/// The two values of an acknowledgment, and what they belong to.
struct Pair {
    old: Presented,
    new: Presented,
    token: UidToken,
    method: std::sync::Arc<keysherd_domain::auth_method::AuthMethod>,
}

async fn both(
    control: &Control,
    caller: &Caller,
    message: &UidAcknowledge,
    now: Timestamp,
) -> Result<Pair, Box<Rejection>> {
    let key = control.sessions.key();
    let text = caller.token.as_deref().unwrap_or_default();
    let values = value::parse(key, text).zip(value::parse(key, &message.new));
    let Some((old, new)) = values.filter(|(old, new)| old.token == new.token) else {
        return Err(unknown("uid-token and send-manual-ack-token are not values of one token"));
    };
    let broken = |fault| Box::new(Rejection { bearer: None, expires: None, fault });
    let found = control.store.read(|reader| uid_tokens::by_id(reader, new.token));
    let token = found.map_err(broken)?.ok_or_else(|| unknown("the token is gone"))?;
    let account = control.directory.ready(token.account).await.map_err(broken)?;
    let account = account.ok_or_else(|| unknown("the token's account does not exist"))?;
    let method = account.method_by_id(token.method).filter(|method| is_of_kind(method));
    let method = method.ok_or_else(|| unknown("the token's auth method does not exist"))?.clone();
    let refused = |fault| {
        let bearer = Some((token.account, Some(method.clone())));
        Box::new(Rejection { bearer, expires: None, fault })
    };
    admits(&account.account, &method, &caller.client, now).map_err(refused)?;
    if token.current.value != old.value && token.current.value != new.value {
        // Neither is in force, so the old one goes the way of every value that is presented.
        bearer::admit(control, caller, text, now, Verdict::is_usable).await?;
    }
    Ok(Pair { old, new, token, method })
}
