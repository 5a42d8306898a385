//! Having work to oneself for as long as it takes, in small steps: so whoever dies is followed
//! within seconds, and whoever cannot reach control sends nothing any more.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keysherd_base::{Fault, FaultKind};
use keysherd_plane::credential_rotations::RotationHold;
use tokio::time::Instant;

use super::Rotating;

/// How often control is asked for more time.
const BEAT: Duration = Duration::from_secs(1);
/// After which nothing is sent to a target any more that changes something, counted from when
/// control was asked last.
pub(super) const IN_TIME: Duration = Duration::from_millis(3_500);

/// Since when it is known that the work is this gateway's.
pub(super) struct Hold(Mutex<Option<Instant>>);

impl Hold {
    /// Control gave the work, for which it was `asked` then.
    pub(super) fn new(asked: Instant) -> Self {
        Self(Mutex::new(Some(asked)))
    }

    /// Control said once more that it is this gateway's, asked then.
    pub(super) fn heard(&self, asked: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was lost does not come back.
        *known = known.map(|before| before.max(asked));
    }

    fn lost(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Refuses to send anything that somebody else may be about to send.
    ///
    /// # Errors
    /// [`Fault::unavailable`].
    pub(super) fn in_time(&self) -> Result<(), Fault> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.is_some_and(|asked| asked.elapsed() < IN_TIME) {
            true => Ok(()),
            false => Err(Fault::unavailable("this gateway was too slow; nothing was changed")),
        }
    }

    /// Asks for more time until somebody stops it.
    pub(super) async fn keep(&self, rotating: &Rotating, hold: RotationHold) -> Infallible {
        loop {
            tokio::time::sleep(BEAT).await;
            let asked = Instant::now();
            let answer = match rotating.caller() {
                Ok(caller) => rotating.plane.ask(caller, hold).await,
                Err(fault) => Err(fault),
            };
            match answer {
                Ok(_) => self.heard(asked),
                Err(fault) if fault.kind() == FaultKind::Conflict => {
                    self.lost();
                    tracing::debug!(item = %hold.item, %fault, "a rotation is somebody else's");
                    std::future::pending::<()>().await;
                }
                // It is asked again; nothing is sent meanwhile.
                Err(fault) => tracing::debug!(item = %hold.item, %fault, "no more time for now"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_control_was_not_heard_of_for_long_is_not_sent() {
        let hold = Hold::new(Instant::now());
        tokio::time::advance(IN_TIME - Duration::from_millis(1)).await;
        hold.in_time().unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(hold.in_time().unwrap_err().kind(), FaultKind::Unavailable);
        hold.heard(Instant::now());
        hold.in_time().unwrap();
        // An answer that comes late says no more than what it was asked for.
        hold.heard(Instant::now() - IN_TIME);
        hold.in_time().unwrap();
        hold.lost();
        hold.heard(Instant::now());
        assert!(hold.in_time().is_err(), "somebody else has it");
    }
}
