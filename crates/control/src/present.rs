//! Signing in with what somebody else made: the control half of every family member is called here.

use keysherd_authn::{EVIDENCE_BYTES_MAX, Entrant, Identity, Method};
use keysherd_base::{AccessId, Fault, FaultKind, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_plane::auth::{LoginReply, LoginSubject, Present, PresentRefused};
use keysherd_plane::challenges::{ChallengeMake, ChallengeMakeReply};
use keysherd_plane::{Caller, Done};
use keysherd_store::auth_methods;

use crate::control::Control;
use crate::entering::resumed;
use crate::guard::{Attempt, Tried};
use crate::issue::issue;

/// Longest reason of a gateway that is taken over, in characters.
const WHY_CHARS_MAX: usize = 200;

/// Signs in with evidence.
///
/// # Errors
/// [`Fault::unauthorized`]: the same text whether the method is unknown, of another kind, or the
/// evidence is not good for it; the log has the reason.
pub(crate) async fn present(
    control: &Control,
    caller: &Caller,
    message: Present,
) -> Result<LoginReply, Fault> {
    let now = control.now();
    let attempt = match message.ticket {
        Some(ticket) => resumed(control, ticket, &message.access_id, now)?,
        None => admitted(control, caller, &message.access_id, now).await?,
    };
    let method =
        control.store.read(|reader| auth_methods::by_access_id(reader, &message.access_id))?;
    let proven = match &method {
        Some(method) => {
            let person = attempt.person.as_deref();
            let entrant = person.map_or(Entrant::Machine, Entrant::Person);
            let asked = message.ticket.map(|_| entrant);
            verify(control, caller, method, &message, asked, now).await
        }
        None => Err(not_good()),
    };
    match (method, proven) {
        (Some(method), Ok(identity)) => {
            let kept = control.keep_cleared(attempt.good(now));
            let reply = issue(control, caller, &method, identity, now).await?;
            kept.await?;
            Ok(reply)
        }
        (method, Err(fault)) => {
            Err(refused(control, caller, attempt, method.as_ref(), fault).await)
        }
        (None, Ok(_)) => Err(Fault::internal("an unknown method proved an identity")),
    }
}

/// Lets something that only a machine can prove be tried.
///
/// # Errors
/// A rate limit: checking evidence may mean asking somebody else, which a flood must not make us
/// do.
pub(crate) async fn admitted<'c>(
    control: &'c Control,
    caller: &Caller,
    access_id: &AccessId,
    now: Timestamp,
) -> Result<Attempt<'c>, Fault> {
    match control.guard.admit(Tried::Machine(access_id), caller.client.address, true, now) {
        Ok(attempt) => Ok(attempt),
        Err(refused) => {
            let subject = LoginSubject::AccessId(access_id.clone());
            Err(control.login_not_tried(caller, &subject, *refused).await)
        }
    }
}

/// Records a refusal; one for a credential that is not good counts against its address.
pub(crate) async fn refused(
    control: &Control,
    caller: &Caller,
    attempt: Attempt<'_>,
    method: Option<&AuthMethod>,
    fault: Fault,
) -> Fault {
    match fault.kind() {
        FaultKind::Unauthorized => control.wrong_login(caller, attempt, method, fault).await,
        _ => control.refused_login(caller, attempt, method, fault).await,
    }
}

/// A challenge for a later login.
///
/// # Errors
/// When the random source fails.
pub(crate) fn challenge(
    control: &Control,
    message: &ChallengeMake,
) -> Result<ChallengeMakeReply, Fault> {
    let challenge = control.world.challenge(&message.access_id, &message.subject)?;
    Ok(ChallengeMakeReply { challenge })
}

/// Records that a gateway's own check refused a bearer.
///
/// # Errors
/// Always: [`Fault::unauthorized`], the same as for evidence that is not good.
pub(crate) async fn refused_at_gateway(
    control: &Control,
    caller: &Caller,
    message: PresentRefused,
) -> Result<Done, Fault> {
    let now = control.now();
    let tried = message.ticket.map(|ticket| resumed(control, ticket, &message.access_id, now));
    let attempt = match tried {
        Some(attempt) => attempt?,
        None => admitted(control, caller, &message.access_id, now).await?,
    };
    let method =
        control.store.read(|reader| auth_methods::by_access_id(reader, &message.access_id))?;
    let why = message.why.chars().take(WHY_CHARS_MAX).collect::<String>();
    tracing::info!(kind = message.kind, why, "a gateway refused a bearer");
    let fault = not_good().with_private(why);
    Err(control.wrong_login(caller, attempt, method.as_ref(), fault).await)
}

async fn verify(
    control: &Control,
    caller: &Caller,
    method: &AuthMethod,
    message: &Present,
    admitted: Option<Entrant<'_>>,
    now: Timestamp,
) -> Result<Identity, Fault> {
    let MethodDetail::Member { kind, settings } = &method.detail else {
        return Err(not_good().with_private("the method takes another kind of credential"));
    };
    let member = keysherd_authn::by_kind(kind)
        .ok_or_else(|| Fault::internal(format!("no member knows the kind {kind:?}")))?;
    if *kind != message.kind || message.evidence.len() > EVIDENCE_BYTES_MAX {
        return Err(not_good().with_private("the evidence is for another kind, or too long"));
    }
    let settings = control.opened_settings(member, &method.access_id, settings)?;
    let attempt = keysherd_authn::Attempt {
        settings: settings.expose(),
        evidence: &message.evidence,
        access_id: &method.access_id,
        admitted,
        client: caller.client.address,
        delimiters: &method.shared.sub_claim_delimiters,
        now,
    };
    checked(member, member.verify(attempt, &control.world).await)
}

/// What is wrong with evidence is for the log; callers hear one text.
fn checked(member: &dyn Method, outcome: Result<Identity, Fault>) -> Result<Identity, Fault> {
    let identity = match outcome {
        Err(fault) if fault.kind() == FaultKind::Unauthorized => {
            tracing::info!(kind = member.kind().name, ?fault, "evidence was refused");
            return Err(not_good().with_private(format!("{fault:?}")));
        }
        Err(fault) => {
            // Its private half does not travel to the gateway.
            tracing::warn!(kind = member.kind().name, ?fault, "evidence could not be checked");
            return Err(fault);
        }
        Ok(identity) => identity,
    };
    if identity.unique_id.is_empty() {
        return Err(not_good().with_private("the identity has no unique id"));
    }
    Ok(identity)
}

/// The one refusal of evidence.
pub(crate) fn not_good() -> Fault {
    Fault::unauthorized(
        "authentication failed; check the access id and its type, and get a fresh credential",
    )
}
