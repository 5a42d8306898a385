//! Display ids that follow from identities.
//!
//! An item's display id is a hash of its uid in the form of a [`DisplayId`]. The store keeps
//! display ids unique, and so uids; and an item is found by its uid without an index of its own.
//! It says nothing about the uid, which is random.

use std::sync::atomic::{AtomicU32, Ordering};

use keysherd_base::{AccountId, DisplayId, Fault, Rng, RngFailed, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_domain::item::Item;
use keysherd_store::{Query, items as stored};

const LABEL: &[u8] = b"KS1/display-id\0";

/// The display id of the item with this identity.
///
/// # Errors
/// None in practice; those of [`DisplayId::random`].
pub(crate) fn display_id(account: AccountId, uid: Uid) -> Result<DisplayId, Fault> {
    Ok(DisplayId::random(account, &Expanded { uid, blocks: AtomicU32::new(0) })?)
}

/// The item with this identity.
///
/// # Errors
/// Those of the store.
pub(crate) fn by_uid(q: &dyn Query, account: AccountId, uid: Uid) -> Result<Option<Item>, Fault> {
    let found = stored::by_display(q, account, &display_id(account, uid)?.0)?;
    Ok(found.filter(|item| item.uid == uid))
}

/// Whether an item of this identity, or one whose display id would be the same, exists.
///
/// # Errors
/// Those of the store.
pub(crate) fn is_taken(q: &dyn Query, account: AccountId, uid: Uid) -> Result<bool, Fault> {
    Ok(stored::by_display(q, account, &display_id(account, uid)?.0)?.is_some())
}

/// The bytes that follow from a uid: SHA-256 in counter mode. Not random, and not meant to be.
struct Expanded {
    uid: Uid,
    blocks: AtomicU32,
}

impl Rng for Expanded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(32) {
            let number = self.blocks.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let block = sha256(&[LABEL, self.uid.as_bytes(), &number]);
            let (block, _) = block.split_at(chunk.len());
            chunk.copy_from_slice(block);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_id_follows_from_the_uid() {
        let account = AccountId(Uid([7; 16]));
        let one = display_id(account, Uid([1; 16])).unwrap();
        assert_eq!(one, display_id(account, Uid([1; 16])).unwrap());
        let other = display_id(account, Uid([2; 16])).unwrap();
        assert_ne!(one, other);
        assert_eq!(one.0.len(), 25);
        // The account's group is the same.
        assert_eq!(one.0.split('-').next(), other.0.split('-').next());
    }
}
