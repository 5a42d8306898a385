//! Whether a gateway does what nobody asks it for: has leases, removes what is due on targets, and
//! changes credentials there. One on standby does none of it, and one that ends no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether it does. Clones are the same.
#[derive(Clone, Debug)]
pub struct Duty(Arc<AtomicBool>);

impl Duty {
    /// One that is on, or not yet.
    pub fn new(is_on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_on)))
    }

    /// From now on. What is under way is brought to its end.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
