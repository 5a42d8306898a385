//! Passwords become signing keys: what is stored elsewhere is only the public half.

use std::sync::atomic::{AtomicUsize, Ordering};

use keysherd_base::{Fault, FaultKind, Rng, SecretString, Timestamp};
use keysherd_crypto::password::{PasswordParams, derive_seed};
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::auth::{
    LOGIN_LABEL, LoginProof, LoginSubject, NewPassword, PasswordParamsReply,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Signs that this very login is meant, now.
///
/// # Errors
/// When the random source fails.
pub fn login_proof(
    (signed_at, rng): (Timestamp, &dyn Rng),
    purpose: &str,
    subject: &LoginSubject,
    key: &SigningKey,
) -> Result<LoginProof, Fault> {
    let nonce = rng.array()?;
    let body = LoginProof::signed_body(purpose, subject, signed_at, &nonce);
    let signature = key.sign(LOGIN_LABEL, &body).0;
    Ok(LoginProof { signed_at, nonce, signature })
}

/// Turns for stretching passwords: a few at a time, each with its memory, and a bounded queue. Who
/// comes beyond it is refused at once, so that wrong logins cannot pile up.
pub struct Turns {
    running: Semaphore,
    waiting: AtomicUsize,
}

/// Logins that wait for their turn at most; with two turns of 25 ms the last waits under a second.
const WAITING_MAX: usize = 64;

impl Turns {
    /// `at_once` turns at a time.
    pub fn new(at_once: usize) -> Self {
        Self { running: Semaphore::new(at_once), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a turn, which lasts as long as the returned value.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`] when too many wait already.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let _place = Place::in_queue(&self.waiting)?;
        self.running.acquire().await.map_err(Fault::internal)
    }
}

/// A place in the queue, given back when the wait ends, whether it succeeded or was abandoned.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn in_queue(waiting: &'a AtomicUsize) -> Result<Self, Fault> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Fault::new(
                FaultKind::RateLimited,
                "too many password logins at once; try again in a moment",
            ));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

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

/// The verifier of a random password that was just made, when it is its turn.
///
/// # Errors
/// As [`Turns::take`] and [`new_password`].
pub(crate) async fn random_password(
    ctx: &crate::ctx::Ctx,
    password: &SecretString,
) -> Result<NewPassword, Fault> {
    let services = ctx.services();
    let _turn = services.stretching.take().await?;
    new_password(&*services.rng, SecretString::new(password.expose().clone())).await
}

/// One text for every credential that does not fit.
pub(crate) fn wrong_credential() -> Fault {
    Fault::unauthorized("the credential is not valid; check access id and access key")
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn the_queue_is_bounded_and_gives_its_places_back() {
        let turns = Turns::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(running)) = pin!(turns.take()).poll(&mut context) else {
            panic!("the first turn is free");
        };
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(turns.take())).collect();
        for wait in &mut waiting {
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        let Poll::Ready(Err(fault)) = pin!(turns.take()).poll(&mut context) else {
            panic!("one more than the queue holds was let in");
        };
        assert_eq!(fault.kind(), FaultKind::RateLimited);
        waiting.pop();
        assert!(pin!(turns.take()).poll(&mut context).is_pending());
        drop((waiting, running));
        assert!(pin!(turns.take()).poll(&mut context).is_ready());
    }
}
