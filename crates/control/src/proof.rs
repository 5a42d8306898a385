//! Checking a signature made with the key that an access key or a password stands for.

use keysherd_authn::UsedOnce as _;
use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature};
use keysherd_plane::auth::{LOGIN_LABEL, LoginProof, LoginSubject};

use crate::control::Control;
use crate::nonces::NonceRefused;

/// How far the signer's clock may be from ours, in seconds, both ways.
const SKEW_SECONDS_MAX: i64 = 60;

impl Control {
    /// Whether the proof was made lately enough to be considered at all.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it is too old or from the future; [`Fault::unavailable`] when
    /// it was made before this process started, since its nonce may have been used then.
    pub(crate) fn check_time_of_proof(
        &self,
        signed_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if now.millis_since(signed_at).unsigned_abs() > SKEW_SECONDS_MAX.unsigned_abs() * 1_000 {
            return Err(Fault::unauthorized(format!(
                "the login was signed at {signed_at}, more than {SKEW_SECONDS_MAX} seconds away \
                 from the server's time {now}; set the clock of the machine that signs and log in \
                 again"
            )));
        }
        if self.used.is_none() && signed_at < self.started {
            return Err(Fault::unavailable(format!(
                "the login was signed at {signed_at}, before the server started; sign it again"
            )));
        }
        Ok(())
    }

    /// Takes the proof's nonce, which makes the proof unusable from now on. To be called only when
    /// its signature is good.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it was used before; [`Fault::unavailable`] when too many are
    /// remembered.
    pub(crate) fn use_up(&self, proof: &LoginProof, now: Timestamp) -> Result<(), Fault> {
        // From when on the check of the time refuses the proof, wherever in the window it lies.
        let forget_after = now.plus_seconds(2 * SKEW_SECONDS_MAX);
        // What was signed too early was refused before.
        match self.take_once(b"login-nonce\0", proof.nonce, (now, now), forget_after)? {
            true => Ok(()),
            false => Err(replayed()),
        }
    }

    /// Takes a mark, which counts once at whichever node it is shown; whether it is new. A control
    /// plane that is alone knows nothing of what was `made` before it started.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when that cannot be known.
    pub(crate) fn take_once(
        &self,
        kind: &[u8],
        mark: [u8; 16],
        (now, made): (Timestamp, Timestamp),
        forget_after: Timestamp,
    ) -> Result<bool, Fault> {
        if let Some(used) = &self.used {
            let hash = sha256(&[kind, &mark]);
            let mut mark = [0; 16];
            mark.copy_from_slice(&hash[..16]);
            return used.take(mark, forget_after);
        }
        if made < self.started {
            return Err(Fault::unavailable(
                "the server has started since; what was signed before is not believed",
            ));
        }
        match self.nonces.take(mark, now, forget_after) {
            Ok(()) => Ok(true),
            Err(NonceRefused::Replayed) => Ok(false),
            Err(NonceRefused::Full) => Err(Fault::unavailable(
                "too many logins in the last minutes; try again in a minute",
            )),
        }
    }
}

fn replayed() -> Fault {
    Fault::unauthorized("this login proof was used before; sign a new one with a fresh nonce")
}

#[cfg(test)]
thread_local! {
    /// Signatures that this thread has looked at: what an answer costs.
    pub(crate) static SIGNATURES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether `key` signed the proof for this purpose and subject.
pub(crate) fn is_signed_by(
    key: &[u8; 32],
    purpose: &str,
    subject: &LoginSubject,
    proof: &LoginProof,
) -> bool {
    #[cfg(test)]
    SIGNATURES.with(|count| count.set(count.get() + 1));
    let body = LoginProof::signed_body(purpose, subject, proof.signed_at, &proof.nonce);
    PublicKey(*key).verify(LOGIN_LABEL, &body, &Signature(proof.signature))
}
