//! Finding the items that wishes name: in memory, or in the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keysherd_base::{AccountId, Fault, ItemPath, Timestamp};
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::grants::ItemRef;
use keysherd_store::{Reader, item_versions, items as stored};

use crate::control::Control;
use crate::items::cache::CachedItem;
use crate::items::describe::{by_reference, unknown_ref};
use crate::items::permitted;
use crate::session::Principal;

impl Control {
    /// The item with this path and its newest value.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn item_at(
        &self,
        account: AccountId,
        path: &ItemPath,
    ) -> Result<Option<Arc<CachedItem>>, Fault> {
        let cache = &self.items.cache;
        if let Some(entry) = cache.get(account, path) {
            self.grants.cached.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(entry));
        }
        self.grants.loaded.fetch_add(1, Ordering::Relaxed);
        let ticket = cache.ticket(account, path);
        let loaded = self.store.read(|reader| {
            let item = stored::by_path(reader, account, path)?;
            item.map(|item| with_value(reader, item)).transpose()
        })?;
        if let Some(entry) = &loaded {
            cache.keep(ticket, Arc::clone(entry));
        }
        Ok(loaded)
    }

    /// The item somebody names, if they may use `capability` on it.
    ///
    /// An id tells nothing about a path, so one that names nothing is answered as one that names
    /// something the caller may not see.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] or [`Fault::not_found`].
    pub(super) fn permitted_item(
        &self,
        who: &Principal,
        reference: &ItemRef,
        capability: Capability,
        now: Timestamp,
    ) -> Result<Arc<CachedItem>, Fault> {
        if let ItemRef::Path(path) = reference {
            return permitted(who, path, capability, now, || self.item_at(who.account, path));
        }
        self.grants.loaded.fetch_add(1, Ordering::Relaxed);
        let found = self.store.read(|reader| {
            let item = by_reference(reader, who, reference)?;
            item.map(|item| with_value(reader, item)).transpose()
        })?;
        let sees = |entry: &Arc<CachedItem>| {
            who.may(RuleKind::Item, entry.item.path.as_str(), Capability::List, now)
        };
        let entry = found.filter(sees).ok_or_else(|| unknown_ref(reference))?;
        who.require(RuleKind::Item, entry.item.path.as_str(), capability, now)?;
        Ok(entry)
    }
}

/// An item with its newest value.
///
/// # Errors
/// Those of the store.
pub(crate) fn with_value(reader: &Reader, item: Item) -> Result<Arc<CachedItem>, Fault> {
    let current = item_versions::latest(reader, item.id)?;
    Ok(Arc::new(CachedItem::new(item, current)))
}
