//! Passwords become signing keys: what is stored elsewhere is only the public half.

use keysherd_base::{Fault, Rng, SecretString};
use keysherd_crypto::password::{PasswordParams, derive_seed};
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::auth::{NewPassword, PasswordParamsReply};

/// The signing key a password stands for. Takes tens of milliseconds, off the event loop.
///
/// # Errors
/// Unauthorized when the password cannot be one, or the parameters are out of bounds.
pub async fn stretch(
    password: SecretString,
    params: PasswordParamsReply,
) -> Result<SigningKey, Fault> {
    let cost = PasswordParams {
        memory_kib: params.memory_kib,
        iterations: params.iterations,
        parallelism: params.parallelism,
    };
    let work = move || derive_seed(&password, &params.salt, cost);
    let seed = tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?;
    Ok(SigningKey::from_seed(&seed.map_err(|_| wrong_credential())?))
}

/// A verifier for a new password, with a fresh salt and the cost in force.
///
/// # Errors
/// As [`stretch`], and when the random source fails.
pub async fn new_password(rng: &dyn Rng, password: SecretString) -> Result<NewPassword, Fault> {
    let cost = PasswordParams::default();
    let params = PasswordParamsReply {
        salt: rng.array()?,
        memory_kib: cost.memory_kib,
        iterations: cost.iterations,
        parallelism: cost.parallelism,
    };
    let public_key = stretch(password, params).await?.public().0;
    Ok(NewPassword { params, public_key })
}

/// One text for every credential that does not fit.
pub(crate) fn wrong_credential() -> Fault {
    Fault::unauthorized("the credential is not valid; check access id and access key")
}
