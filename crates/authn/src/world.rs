//! What the control half of the members shares: time, randomness, and the way out.

use keysherd_base::{ClockHandle, RngHandle};

/// What checks of evidence may use. One for the whole control plane.
pub struct World {
    clock: ClockHandle,
    rng: RngHandle,
}

impl World {
    /// A world with nothing remembered.
    pub fn new(clock: ClockHandle, rng: RngHandle) -> Self {
        Self { clock, rng }
    }

    /// Time.
    pub fn clock(&self) -> &ClockHandle {
        &self.clock
    }

    /// Randomness.
    pub fn rng(&self) -> &RngHandle {
        &self.rng
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
