//! Randomness that is the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{Rng, RngFailed};

/// An xorshift generator (Marsaglia, "Xorshift RNGs", 2003). For fuzzing only.
pub(crate) struct Sequence(AtomicU64);

impl Sequence {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed | 1))
    }
}

impl Rng for Sequence {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for byte in buffer {
            let mut state = self.0.load(Ordering::Relaxed);
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            self.0.store(state, Ordering::Relaxed);
            [*byte, ..] = state.to_be_bytes();
        }
        Ok(())
    }
}
