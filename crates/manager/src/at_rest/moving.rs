//! From one provider of the epoch key to another.

use std::sync::Arc;

use keysherd_base::Fault;

use super::{AtRestKey, EpochKey};

/// Keeps the epoch key at `to`. As long as that has none, the key of `from` is taken over, and
/// erased there once the new provider has it durably; a crash in between leaves it at both.
pub struct Moving {
    to: Arc<dyn AtRestKey>,
    from: Arc<dyn AtRestKey>,
}

impl Moving {
    /// From `from` to `to`.
    pub fn new(from: Arc<dyn AtRestKey>, to: Arc<dyn AtRestKey>) -> Self {
        Self { to, from }
    }
}

impl AtRestKey for Moving {
    fn load(&self) -> Result<Option<EpochKey>, Fault> {
        let kept = self.to.load()?;
        let Some(key) = (match &kept {
            Some(_) => None,
            None => self.from.load()?,
        }) else {
            if kept.is_some() {
                self.from.erase()?;
            }
            return Ok(kept);
        };
        self.to.replace(&key)?;
        self.from.erase()?;
        tracing::info!(from = self.from.name(), to = self.to.name(), "the epoch key was moved");
        Ok(Some(key))
    }

    fn replace(&self, key: &EpochKey) -> Result<(), Fault> {
        self.to.replace(key)
    }

    fn erase(&self) -> Result<(), Fault> {
        self.to.erase()?;
        self.from.erase()
    }

    fn name(&self) -> &'static str {
        self.to.name()
    }
}
