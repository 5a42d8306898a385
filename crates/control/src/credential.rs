//! Whether what a gateway made of a new credential can be a verifier.

use keysherd_base::Fault;
use keysherd_crypto::password::PasswordParams;
use keysherd_domain::auth_method::MethodDetail;
use keysherd_plane::auth::{NewPassword, PasswordParamsReply};

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
    check_public_key(detail.public_key())?;
    let MethodDetail::Email {
        email,
        public_key,
        salt,
        memory_kib,
        iterations,
        parallelism,
        password_set,
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
    })
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
