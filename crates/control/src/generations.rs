//! What is read from the store while it changes, and kept only if it did not.
//!
//! Keys fall into shards. Whoever reads takes a ticket of the key's shard before; whoever learns of
//! a change bumps the shard and takes out what is kept, in one step. So nothing that was read
//! before a change is found after the change is known.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More of them make reading one key and changing another meet less often.
const SHARDS: usize = 256;

/// Permission to keep what is read after it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    shard: usize,
    generation: u64,
}

/// How often each shard was bumped.
pub(crate) struct Generations {
    hasher: RandomState,
    /// Held while something of the shard is put in or taken out.
    shards: Box<[Mutex<u64>]>,
}

impl Default for Generations {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(0)).collect();
        Self { hasher: RandomState::new(), shards }
    }
}

impl Generations {
    /// To be taken before `key` is read from the store.
    pub(crate) fn ticket(&self, key: &impl Hash) -> Ticket {
        let shard = self.shard(key);
        Ticket { shard, generation: *self.lock(shard) }
    }

    /// Runs `keep`, unless something of the shard has changed since the ticket was taken.
    pub(crate) fn keep(&self, ticket: Ticket, keep: impl FnOnce()) {
        let generation = self.lock(ticket.shard);
        if *generation == ticket.generation {
            keep();
        }
    }

    /// Bumps the shard of `key` and runs `remove`.
    pub(crate) fn forget(&self, key: &impl Hash, remove: impl FnOnce()) {
        let mut generation = self.lock(self.shard(key));
        *generation += 1;
        remove();
    }

    /// Bumps all shards: nothing that was read before is kept any more. To be followed by taking
    /// out what is kept.
    pub(crate) fn forget_all(&self) {
        for shard in 0..self.shards.len() {
            *self.lock(shard) += 1;
        }
    }

    fn shard(&self, key: &impl Hash) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % SHARDS as u64).unwrap_or(0)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, u64> {
        // A number is whole whatever happened to who held it.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
