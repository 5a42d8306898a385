//! The operating system's random source behind [`keysherd_base::Rng`].

use std::sync::Arc;

use keysherd_base::{Rng, RngFailed, RngHandle};

/// A deterministic generator reseeded from the operating system (AWS-LC's `RAND_bytes`).
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRng;

impl SystemRng {
    /// The source as a shared handle.
    pub fn handle() -> RngHandle {
        Arc::new(Self)
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| RngFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_the_whole_buffer_and_differs_each_time() {
        let rng: &dyn Rng = &SystemRng;
        let (first, second) = (rng.array::<64>().unwrap(), rng.array::<64>().unwrap());
        assert_ne!(first, second);
        assert_ne!(first[32..], [0; 32]);
    }
}
