//! What the control half of the members shares: time, randomness, and what was used up.

use keysherd_base::{AccessId, ClockHandle, Fault, RngHandle, Timestamp};

use crate::challenge::Challenges;
use crate::replay::Replays;

/// What checks of evidence may use. One for the whole control plane.
pub struct World {
    clock: ClockHandle,
    rng: RngHandle,
    replays: Replays,
    challenges: Challenges,
    /// What was made before this time is refused: whether it was used is not known.
    started: Timestamp,
}

impl World {
    /// A world with nothing remembered.
    pub fn new(clock: ClockHandle, rng: RngHandle) -> Self {
        let started = clock.now();
        let (replays, challenges) = (Replays::default(), Challenges::default());
        Self { clock, rng, replays, challenges, started }
    }

    /// Time.
    pub fn clock(&self) -> &ClockHandle {
        &self.clock
    }

    /// Randomness.
    pub fn rng(&self) -> &RngHandle {
        &self.rng
    }

    /// Uses `what` up, which was made at `made` and is refused by its time after `until`. To be
    /// called only when everything else about it is good.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it was used before; [`Fault::unavailable`] when that is not
    /// known, since it was made before this process started, or when too much is remembered.
    pub fn use_up(&self, what: &[u8], made: Timestamp, until: Timestamp) -> Result<(), Fault> {
        if made < self.started {
            return Err(Fault::unavailable(
                "the proof was made before the server started; make a fresh one",
            ));
        }
        self.replays.take(what, self.clock.now(), until)
    }

    /// A challenge for whoever wants to come in at `access_id` with the thing whose hash is
    /// `subject`; good for a minute and one use.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn challenge(&self, access_id: &AccessId, subject: &[u8; 32]) -> Result<Vec<u8>, Fault> {
        self.challenges.make(access_id, subject, self.clock.now(), &*self.rng)
    }

    /// Uses a challenge up. To be called only when the answer to it is good.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it is not of this method, subject and minute, or was used.
    pub fn answered(
        &self,
        challenge: &[u8],
        access_id: &AccessId,
        subject: &[u8; 32],
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let until = self.challenges.good_until(challenge, access_id, subject, now);
        let until = until.ok_or_else(|| {
            Fault::unauthorized("the challenge is over or for another; ask for a new one")
        })?;
        // No challenge of an earlier process is good, so there is no need to look at its time.
        self.replays.take(&[b"challenge", challenge].concat(), now, until)
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
