//! Crypto-erasure: what was replaced or removed becomes unreadable, wherever a copy of it lies.

use keysherd_base::Fault;

use crate::manager::Manager;

impl Manager {
    /// Seals the whole store under a fresh epoch key and forgets the old one: fragments that were
    /// replaced or removed before are erased, in backups and on the disk's blocks too. It blocks,
    /// about a second for 10,000 key versions.
    ///
    /// # Errors
    /// When the store or the key cannot be written. Nothing is lost then; calling again finishes.
    pub fn erase_replaced(&self) -> Result<(), Fault> {
        self.keys.store().rotate(&*self.at_rest)
    }
}
