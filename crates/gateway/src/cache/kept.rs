//! A kept decision.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::Uid;
use keysherd_plane::grants::GrantedItem;

use super::ahead::Again;
use super::coherence::Tied;
use super::cold::Restored;
use super::offline::{Bearers, OfflinePolicies};
use super::packed::Packed;
use crate::moment::Moment;

/// A decision, and all that answers it but keys.
pub(crate) struct Kept {
    /// The caller's account and auth method.
    pub(super) method: Arc<Bearers>,
    /// What control granted, ciphertext included, and its receipt.
    pub(super) packed: Packed,
    pub(super) tied: Tied,
    pub(super) asked: Moment,
    pub(super) good_millis: u64,
    /// What few have.
    pub(super) more: Option<Box<More>>,
}

/// What few decisions have: it takes no room in the others.
pub(super) enum More {
    /// What it takes to ask for it again, where that is wanted.
    Again(Again),
    /// What holds for it instead, when it is an earlier process's.
    Restored(Arc<Restored>),
}

impl Kept {
    /// The caller's account.
    pub(crate) fn account(&self) -> Uid {
        self.method.0
    }

    /// What control granted, in the order of the call.
    pub(crate) fn items(&self) -> Vec<Arc<GrantedItem>> {
        self.packed.items()
    }

    pub(super) fn again(&self) -> Option<&Again> {
        match self.more.as_deref()? {
            More::Again(again) => Some(again),
            More::Restored(_) => None,
        }
    }

    pub(super) fn restored(&self) -> Option<&Arc<Restored>> {
        match self.more.as_deref()? {
            More::Restored(restored) => Some(restored),
            More::Again(_) => None,
        }
    }

    /// Whether one of these policies allows it after control was silent for so long.
    pub(super) fn is_allowed(&self, policies: &OfflinePolicies, silent: Duration) -> bool {
        let Some(paths) = self.packed.paths() else { return false };
        policies.allow(&self.method, paths.into_iter(), silent)
    }
}
