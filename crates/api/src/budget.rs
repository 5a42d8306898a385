//! How much of large answers may be in memory at one time.
//!
//! An answer is held until its client took it, and a client can be slow on purpose. Small answers
//! are not counted: their number is bounded by the connections.

use std::sync::Arc;

use keysherd_base::{Fault, FaultKind};
use keysherd_wire::Hold;
use tokio::sync::Semaphore;

/// Answers up to this size are not counted.
const SMALL_BYTES: usize = 64 * 1024;
/// Bytes of all large answers together.
const LARGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The unit in which they are counted.
const UNIT_BYTES: usize = 1024;

/// The budget.
pub struct AnswerBudget(Arc<Semaphore>);

impl Default for AnswerBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_BYTES_MAX / UNIT_BYTES)))
    }
}

impl AnswerBudget {
    /// Takes `bytes` from the budget until the returned value is dropped; `None` for a small
    /// answer.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`] when too much is on its way already.
    pub fn take(&self, bytes: usize) -> Result<Option<Hold>, Fault> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let share = self.0.clone().try_acquire_many_owned(units).map_err(|_| {
            Fault::new(
                FaultKind::RateLimited,
                "too many large answers are on their way; try again, or read fewer values at once",
            )
        })?;
        Ok(Some(Hold::new(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_answers_are_counted_until_they_are_gone() {
        let budget = AnswerBudget::default();
        assert!(budget.take(SMALL_BYTES).unwrap().is_none());
        let half = budget.take(LARGE_BYTES_MAX / 2).unwrap();
        assert!(half.is_some());
        let fault = budget.take(LARGE_BYTES_MAX / 2 + UNIT_BYTES).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::RateLimited);
        drop(half);
        assert!(budget.take(LARGE_BYTES_MAX).unwrap().is_some());
    }
}
