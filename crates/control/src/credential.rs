//! Whether what a gateway made of a new credential can be a verifier.

use keysherd_authn::{Method, SETTINGS_BYTES_MAX};
use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::password::PasswordParams;
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, SecondFactor};
use keysherd_plane::auth::{NewPassword, PasswordParamsReply};
use keysherd_plane::auth_methods::AccessKeyReset;

use crate::login::EMAIL_BYTES_MAX;

/// Demands a public key that somebody has set: all zeros is a point of small order, for which
/// anybody can make signatures.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_public_key(key: &[u8; 32]) -> Result<(), Fault> {
    if *key != [0; 32] {
        return Ok(());
    }
    Err(Fault::bad_request("the verifier is empty; make the credential again"))
}

/// Demands a verifier whose stretching is neither too cheap nor too dear.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_password(new: &NewPassword) -> Result<(), Fault> {
    check_stretching(&new.params)?;
    check_public_key(&new.public_key)
}

/// Demands a detail that a login can be checked against, and brings its address into lower case.
///
/// # Errors
/// [`Fault::bad_request`] says what is wrong.
pub(crate) fn checked_detail(detail: MethodDetail) -> Result<MethodDetail, Fault> {
    let detail = match detail {
        MethodDetail::Member { kind, settings } => {
            member_of(&kind, &settings)?.check(&settings)?;
            return Ok(MethodDetail::Member { kind, settings });
        }
        other => other,
    };
    detail.public_key().map_or(Ok(()), check_public_key)?;
    let MethodDetail::Email {
        email,
        public_key,
        salt,
        memory_kib,
        iterations,
        parallelism,
        password_set,
        second_factor,
    } = detail
    else {
        return Ok(detail);
    };
    check_stretching(&PasswordParamsReply { salt, memory_kib, iterations, parallelism })?;
    let email = checked_email(&email)?;
    Ok(MethodDetail::Email {
        email,
        public_key,
        salt,
        memory_kib,
        iterations,
        parallelism,
        password_set,
        second_factor,
    })
}

/// A family member's detail with `new` settings in place of those it has.
///
/// # Errors
/// [`Fault::bad_request`] when they are not good, or the method is of no such kind.
pub(crate) fn replaced_detail(old: &MethodDetail, new: String) -> Result<MethodDetail, Fault> {
    let MethodDetail::Member { kind, settings } = old else {
        return Err(Fault::bad_request("this kind of auth method has no such settings"));
    };
    let member = member_of(kind, &new)?;
    let settings = member.replace(settings, new)?;
    member.check(&settings)?;
    Ok(MethodDetail::Member { kind: kind.clone(), settings })
}

fn member_of(kind: &str, settings: &str) -> Result<&'static dyn Method, Fault> {
    if settings.len() > SETTINGS_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "the settings are longer than {SETTINGS_BYTES_MAX} bytes; shorten key sets or metadata"
        )));
    }
    keysherd_authn::by_kind(kind)
        .ok_or_else(|| Fault::bad_request("this kind of auth method is not known here"))
}

/// What a reset makes of a method's credential.
///
/// # Errors
/// [`Fault::bad_request`] for a bad verifier, [`Fault::forbidden`] for a method that has none.
pub(crate) fn replaced_credential(
    found: &AuthMethod,
    reset: &AccessKeyReset,
    now: Timestamp,
) -> Result<MethodDetail, Fault> {
    match found.detail.clone() {
        MethodDetail::ApiKey { .. } => {
            check_public_key(&reset.public_key)?;
            Ok(MethodDetail::ApiKey { public_key: reset.public_key, key_created: now })
        }
        MethodDetail::Email { email, second_factor, .. } => {
            check_password(&reset.password)?;
            let NewPassword { params, public_key } = reset.password;
            Ok(MethodDetail::Email {
                email,
                public_key,
                salt: params.salt,
                memory_kib: params.memory_kib,
                iterations: params.iterations,
                parallelism: params.parallelism,
                password_set: now,
                second_factor,
            })
        }
        MethodDetail::Member { .. } => Err(Fault::forbidden(format!(
            "auth method {} is of type {} and has no access key",
            found.path,
            found.detail.kind_name()
        ))),
    }
}

/// Demands a second factor of a person, or demands none. Tokens that were given under other
/// demands die.
pub(crate) fn demand_factor(method: &mut AuthMethod, demanded: bool) {
    if let MethodDetail::Email { second_factor, .. } = &mut method.detail {
        let wanted = if demanded { SecondFactor::Demanded } else { SecondFactor::None };
        if *second_factor != wanted {
            *second_factor = wanted;
            method.generation = method.generation.saturating_add(1);
        }
    }
}

/// The address in the one spelling it is kept in.
///
/// # Errors
/// [`Fault::bad_request`].
pub fn checked_email(email: &str) -> Result<String, Fault> {
    let well_formed = email.len() <= EMAIL_BYTES_MAX
        && !email.chars().any(|c| c.is_control() || c.is_whitespace())
        && email.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if well_formed {
        return Ok(email.to_lowercase());
    }
    Err(Fault::bad_request("the e-mail address is not one; write name@example.com"))
}

fn check_stretching(params: &PasswordParamsReply) -> Result<(), Fault> {
    let PasswordParamsReply { memory_kib, iterations, parallelism, .. } = *params;
    if (PasswordParams { memory_kib, iterations, parallelism }).within_bounds() {
        return Ok(());
    }
    Err(Fault::bad_request(
        "the password's Argon2id parameters are out of bounds; use those of the defaults",
    ))
}
