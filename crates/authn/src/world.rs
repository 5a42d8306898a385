//! What the control half of the members shares: time, randomness, and what was used up.

use keysherd_base::{ClockHandle, Fault, RngHandle, Timestamp};

use crate::replay::Replays;

/// What checks of evidence may use. One for the whole control plane.
pub struct World {
    clock: ClockHandle,
    rng: RngHandle,
    replays: Replays,
    /// What was made before this time is refused: whether it was used is not known.
    started: Timestamp,
}

impl World {
    /// A world with nothing remembered.
    pub fn new(clock: ClockHandle, rng: RngHandle) -> Self {
        let started = clock.now();
        Self { clock, rng, replays: Replays::default(), started }
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
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
