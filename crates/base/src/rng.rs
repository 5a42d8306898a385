//! Randomness as a value that is handed in.

use std::sync::Arc;

/// The random source failed. There is never a fallback: the operation must be abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RngFailed;

impl std::fmt::Display for RngFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the random source failed")
    }
}

impl std::error::Error for RngFailed {}

/// A cryptographically secure random source.
pub trait Rng: Send + Sync {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// [`RngFailed`] when the source has none to give; the buffer must then not be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed>;
}

/// A shared random source.
pub type RngHandle = Arc<dyn Rng>;

impl dyn Rng + '_ {
    /// An array of random bytes.
    ///
    /// # Errors
    /// [`RngFailed`], as [`Rng::fill`].
    pub fn array<const N: usize>(&self) -> Result<[u8; N], RngFailed> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}
