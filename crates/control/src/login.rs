//! Signing in: from a proof to a token.
//!
//! Whether a subject exists must not show. An unknown one is verified against a key nobody has, is
//! answered with the same text, and waits for the disk just as a refusal that is recorded does.
//! It has no audit record, since it belongs to no account; it is logged and counted.

use keysherd_authn::Identity;
use keysherd_base::{AccountId, Fault, Timestamp};
use keysherd_crypto::password::PasswordParams as Argon2Params;
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_domain::claims::SubClaims;
use keysherd_plane::Caller;
use keysherd_plane::auth::{
    Login, LoginProof, LoginReply, LoginSubject, PURPOSE_LOGIN, PasswordParams, PasswordParamsReply,
};
use keysherd_store::auth_methods;

use crate::control::Control;
use crate::guard::{Attempt, Tried};
use crate::issue::issue;
use crate::proof::is_signed_by;

/// Longest e-mail address: 64 bytes, an at sign, 255 bytes (RFC 5321 section 4.5.3.1).
pub(crate) const EMAIL_BYTES_MAX: usize = 320;

/// Accounts in which one address is tried when none is named.
const ACCOUNTS_PER_EMAIL_MAX: usize = 16;

/// How to stretch the password of a person. Writes no audit record.
///
/// When an address has methods in several accounts, the named account's answers, else the one of
/// the caller's token, else the oldest.
///
/// # Errors
/// [`keysherd_base::FaultKind::RateLimited`] when no password would be tried now, so that nobody
/// has one stretched in vain; otherwise only when the store is broken.
pub(crate) async fn password_params(
    control: &Control,
    caller: &Caller,
    message: PasswordParams,
) -> Result<PasswordParamsReply, Fault> {
    let email = message.email.to_lowercase();
    let made_up = made_up_params(control, &email, message.account);
    if email.len() > EMAIL_BYTES_MAX {
        return Ok(made_up);
    }
    control.guard.look(Tried::Person(&email), caller.client.address, control.now())?;
    let mut methods = control.store.read(|reader| auth_methods::by_email(reader, &email))?;
    if let Some(account) = message.account {
        methods.retain(|method| method.account == account);
    }
    let own = control.authenticate(caller).await.ok().map(|principal| principal.method.id);
    let method = methods.iter().find(|method| Some(method.id) == own).or(methods.first());
    Ok(method.and_then(|method| params_of(&method.detail)).unwrap_or(made_up))
}

fn params_of(detail: &MethodDetail) -> Option<PasswordParamsReply> {
    match *detail {
        MethodDetail::Email { salt, memory_kib, iterations, parallelism, .. } => {
            Some(PasswordParamsReply { salt, memory_kib, iterations, parallelism })
        }
        MethodDetail::ApiKey { .. } | MethodDetail::Member { .. } => None,
    }
}

fn made_up_params(
    control: &Control,
    email: &str,
    account: Option<AccountId>,
) -> PasswordParamsReply {
    let account = account.unwrap_or_default();
    let parts: [&[u8]; 4] = [b"password-params", &[0], account.0.as_bytes(), email.as_bytes()];
    let tag = control.decoy_key.tag(&parts);
    let mut salt = [0; 16];
    salt.copy_from_slice(&tag[..16]);
    let Argon2Params { memory_kib, iterations, parallelism } = Argon2Params::default();
    PasswordParamsReply { salt, memory_kib, iterations, parallelism }
}

/// Signs in.
///
/// # Errors
/// [`Fault::unauthorized`]; which part of a credential is wrong is not said.
pub(crate) async fn login(
    control: &Control,
    caller: &Caller,
    message: Login,
) -> Result<LoginReply, Fault> {
    let Login { subject, proof, otp } = message;
    let (method, attempt) = proven(control, caller, PURPOSE_LOGIN, subject, &proof).await?;
    let attempt = control.demand_factor(caller, attempt, &method, otp.as_deref()).await?;
    let now = control.now();
    let kept = control.keep_cleared(attempt.good(now));
    let reply = issue(control, caller, &method, identity(&method), now).await?;
    kept.await?;
    Ok(reply)
}

/// As [`proven`], of a person.
///
/// # Errors
/// As [`proven`]; [`Fault::bad_request`] for another subject.
pub(crate) async fn proven_person<'c>(
    control: &'c Control,
    caller: &Caller,
    purpose: &'static str,
    subject: LoginSubject,
    proof: &LoginProof,
) -> Result<(AuthMethod, Attempt<'c>), Fault> {
    if matches!(subject, LoginSubject::AccessId(_)) {
        return Err(Fault::bad_request("only people have a second factor; name an e-mail address"));
    }
    proven(control, caller, purpose, subject, proof).await
}

/// The method whose credential made the proof, which is then used up, and the attempt, which the
/// caller settles.
///
/// # Errors
/// What the caller is told; counted and recorded.
async fn proven<'c>(
    control: &'c Control,
    caller: &Caller,
    purpose: &'static str,
    subject: LoginSubject,
    proof: &LoginProof,
) -> Result<(AuthMethod, Attempt<'c>), Fault> {
    let now = control.now();
    let subject = canonical(subject);
    let admitted = control.guard.admit(tried(&subject), caller.client.address, false, now);
    let attempt = match admitted {
        Ok(attempt) => attempt,
        Err(refused) => return Err(control.login_not_tried(caller, &subject, *refused).await),
    };
    let named = candidates(control, &subject)?;
    match prove(control, purpose, &subject, proof, &named, now) {
        Ok(method) => Ok((method.clone(), attempt)),
        Err(NotProven::Wrong) => {
            let fault = wrong_credentials(&subject);
            Err(control.wrong_login(caller, attempt, named.first(), fault).await)
        }
        Err(NotProven::Other(fault)) => {
            Err(control.refused_login(caller, attempt, named.first(), fault).await)
        }
    }
}

/// The subject in the one spelling that everything counts it under.
fn canonical(subject: LoginSubject) -> LoginSubject {
    match subject {
        LoginSubject::Email { email, account } => {
            LoginSubject::Email { email: email.to_lowercase(), account }
        }
        LoginSubject::AccessId(_) => subject,
    }
}

/// Whom the subject stands for, whatever account it names.
pub(crate) fn tried(subject: &LoginSubject) -> Tried<'_> {
    match subject {
        LoginSubject::AccessId(id) => Tried::Machine(id),
        LoginSubject::Email { email, .. } => Tried::Person(email),
    }
}

/// The methods the subject may mean: none when it is unknown. People are found by their address
/// only: under their access id, wrong passwords would be counted as a machine's.
pub(crate) fn candidates(
    control: &Control,
    subject: &LoginSubject,
) -> Result<Vec<AuthMethod>, Fault> {
    control.store.read(|reader| match subject {
        LoginSubject::AccessId(id) => {
            let found = auth_methods::by_access_id(reader, id)?;
            let person = |method: &AuthMethod| matches!(method.detail, MethodDetail::Email { .. });
            Ok(found.into_iter().filter(|method| !person(method)).collect())
        }
        LoginSubject::Email { email, .. } if email.len() > EMAIL_BYTES_MAX => Ok(Vec::new()),
        LoginSubject::Email { email, account } => {
            let mut methods = auth_methods::by_email(reader, email)?;
            methods.retain(|method| account.is_none_or(|account| method.account == account));
            methods.truncate(ACCOUNTS_PER_EMAIL_MAX);
            Ok(methods)
        }
    })
}

/// Why a login is not proven.
enum NotProven {
    /// By a credential that is not that of any method named.
    Wrong,
    /// For another reason.
    Other(Fault),
}

impl From<Fault> for NotProven {
    fn from(fault: Fault) -> Self {
        Self::Other(fault)
    }
}

/// The one method among those named whose credential made the proof; the proof is then used up.
fn prove<'m>(
    control: &Control,
    purpose: &str,
    subject: &LoginSubject,
    proof: &LoginProof,
    named: &'m [AuthMethod],
    now: Timestamp,
) -> Result<&'m AuthMethod, NotProven> {
    control.check_time_of_proof(proof.signed_at, now)?;
    let signed = |key: &[u8; 32]| is_signed_by(key, purpose, subject, proof);
    // As many signatures are looked at as there may be methods, however many there are.
    let wanted = match subject {
        LoginSubject::AccessId(_) => 1,
        LoginSubject::Email { .. } => ACCOUNTS_PER_EMAIL_MAX,
    };
    let keys = named.iter().filter(|method| method.detail.public_key().is_some()).count();
    for _ in keys..wanted {
        signed(control.decoy_public.as_bytes());
    }
    let proven: Vec<_> =
        named.iter().filter(|method| method.detail.public_key().is_some_and(signed)).collect();
    match proven.as_slice() {
        [] => Err(NotProven::Wrong),
        [method] => {
            control.use_up(proof, now)?;
            Ok(method)
        }
        _ => Err(NotProven::Other(Fault::unauthorized(
            "this e-mail address has several accounts; log in again with account-id",
        ))),
    }
}

fn wrong_credentials(subject: &LoginSubject) -> Fault {
    match subject {
        LoginSubject::AccessId(_) => Fault::unauthorized(
            "authentication failed; check the access id and the access key, or have the key reset",
        ),
        LoginSubject::Email { .. } => wrong_person(),
    }
}

/// One text for a wrong address, password, account and one-time code.
pub(crate) fn wrong_person() -> Fault {
    Fault::unauthorized(
        "authentication failed; check the e-mail address, the password, the account id and the \
         one-time code",
    )
}

/// Who the bearer of a credential that signs is.
fn identity(method: &AuthMethod) -> Identity {
    let mut claims = SubClaims::default();
    let unique_id = match method.detail.email() {
        Some(email) => {
            claims.set("email", email);
            email.to_owned()
        }
        None => method.access_id.as_str().to_owned(),
    };
    Identity { unique_id, claims, ends: None }
}
