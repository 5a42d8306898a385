//! Whether somebody may be tried whom their gateway has to ask others about.

use keysherd_authn::folded;
use keysherd_base::{AccessId, Fault, Timestamp};
use keysherd_plane::admission::{LoginAbandon, LoginAdmit, LoginAdmitReply, Ticket};
use keysherd_plane::auth::LoginSubject;
use keysherd_plane::{Caller, Done};

use crate::control::Control;
use crate::guard::{Attempt, Tried};

/// Longest name of a person, in bytes.
const PERSON_BYTES_MAX: usize = 1_024;

/// Lets a login be tried.
///
/// # Errors
/// [`keysherd_base::FaultKind::RateLimited`], recorded; [`Fault::bad_request`] for a name that
/// cannot be one.
pub(crate) async fn admit(
    control: &Control,
    caller: &Caller,
    message: LoginAdmit,
) -> Result<LoginAdmitReply, Fault> {
    let LoginAdmit { access_id, person, instead } = message;
    if person.as_ref().is_some_and(|name| name.len() > PERSON_BYTES_MAX) {
        return Err(Fault::bad_request("the name is too long for one; check it"));
    }
    if let Some(former) = instead {
        control.guard.abandon(former);
    }
    let now = control.now();
    let ticket = Ticket(control.rng.array()?);
    let spelled = person.map(|name| name.trim().to_lowercase());
    let person = spelled.as_deref().map(folded);
    let who = match (&person, &spelled) {
        (Some(name), Some(spelled)) => Tried::PersonOf { access_id: &access_id, name, spelled },
        _ => Tried::Machine(&access_id),
    };
    let admitted = control.guard.admit(who, caller.client.address, true, now);
    match admitted {
        Ok(attempt) => {
            control.guard.hold(attempt, ticket, access_id, person, now)?;
            Ok(LoginAdmitReply { ticket })
        }
        Err(refused) => {
            let subject = LoginSubject::AccessId(access_id);
            Err(control.login_not_tried(caller, &subject, *refused).await)
        }
    }
}

/// Ends a login that was none.
pub(crate) fn abandon(control: &Control, message: LoginAbandon) -> Done {
    control.guard.abandon(message.ticket);
    Done
}

/// The login that was admitted under `ticket`.
///
/// # Errors
/// [`Fault::unavailable`] when it is over: control was started since, or the gateway took long.
pub(crate) fn resumed<'c>(
    control: &'c Control,
    ticket: Ticket,
    access_id: &AccessId,
    now: Timestamp,
) -> Result<Attempt<'c>, Fault> {
    control
        .guard
        .resume(ticket, access_id, now)
        .ok_or_else(|| Fault::unavailable("the login took too long; sign in again"))
}
