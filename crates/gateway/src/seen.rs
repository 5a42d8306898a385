//! What this gateway has seen of items, so that control cannot serve it an older value as the
//! newest one (`fragments.md` section 7, row 5).
//!
//! Only a memory: it is bounded, it is gone when the gateway restarts, and it knows nothing of what
//! other gateways saw. A version that was deleted through another gateway looks like one that was
//! taken back; whoever then asks for the version that is there by its number accepts it.

use std::sync::{Mutex, PoisonError};

use keysherd_base::{Fault, FaultKind, Uid};
use quick_cache::sync::Cache;

#[cfg(test)]
mod tests;

/// Items remembered; about 150 bytes each.
const ITEMS_MAX: usize = 200_000;
/// Overwritten values remembered of one version.
const REPLACED_MAX: usize = 4;
/// Code of the fault that says: this gateway has seen a newer value.
pub(crate) const ROLLED_BACK: &str = "RolledBack";

/// What was last seen of an item.
#[derive(Clone, Debug)]
struct Last {
    version: u32,
    /// What tells the value apart from others of the same version.
    value: [u8; 32],
    /// Values of this version that were overwritten.
    replaced: Vec<[u8; 32]>,
    /// A version that was refused.
    refused: Option<u32>,
}

/// The memory.
pub(crate) struct Seen {
    items: Cache<Uid, Last>,
    /// Held while an entry is read, changed and put back.
    turn: Mutex<()>,
}

impl Seen {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { items: Cache::new(ITEMS_MAX), turn: Mutex::default() }
    }

    /// Takes down what control serves as the newest value of an item.
    ///
    /// # Errors
    /// [`FaultKind::Conflict`] when a newer one was seen before.
    pub(crate) fn newest(&self, item: Uid, version: u32, value: &[u8; 32]) -> Result<(), Fault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut last) = self.items.get(&item) else {
            self.items.insert(item, Last::of(version, value));
            return Ok(());
        };
        if version < last.version || (version == last.version && last.replaced.contains(value)) {
            last.refused = Some(version);
            let newer = last.version;
            self.items.insert(item, last);
            return Err(rolled_back(item, version, newer));
        }
        if version > last.version {
            self.items.insert(item, Last::of(version, value));
        } else if *value != last.value {
            // Overwritten in the meantime.
            last.replaced.push(last.value);
            let surplus = last.replaced.len().saturating_sub(REPLACED_MAX);
            last.replaced.drain(..surplus);
            last.value = *value;
            self.items.insert(item, last);
        }
        Ok(())
    }

    /// Takes down that a caller asked for this version by its number: after a refusal of the very
    /// same version that is how it is accepted.
    pub(crate) fn by_number(&self, item: Uid, version: u32) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.items.get(&item).is_some_and(|last| last.refused == Some(version)) {
            self.items.remove(&item);
        }
    }

    /// Forgets an item of which a version was deleted.
    pub(crate) fn forget(&self, item: Uid) {
        self.items.remove(&item);
    }
}

impl Last {
    fn of(version: u32, value: &[u8; 32]) -> Self {
        Self { version, value: *value, replaced: Vec::new(), refused: None }
    }
}

fn rolled_back(item: Uid, version: u32, newer: u32) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!(
            "the control plane gave version {version} as the newest, but this gateway has seen \
             version {newer} or a later value of it: somebody set the item back; if a version was \
             deleted on purpose, read version {version} by its number once"
        ),
    )
    .with_code(ROLLED_BACK)
    .with_private(format!("item {item}"))
}
