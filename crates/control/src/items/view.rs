//! Items as a caller may see them.

use std::collections::HashMap;

use keysherd_base::{AccountId, AssocId, Fault, ItemId, Timestamp, Uid};
use keysherd_domain::account::Account;
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::{Capabilities, Capability, RuleKind};
use keysherd_plane::items::{ASSOCIATED_MAX, AssociatedItem, ItemView};
use keysherd_store::target_assocs::TargetAssoc;
use keysherd_store::{Query, item_targets, items as stored, target_assocs};

use super::account_now;
use crate::credential_rotations;
use crate::session::Principal;

/// Makes views of many items of one account, and looks each protection key up once.
pub(crate) struct Viewer<'a> {
    q: &'a dyn Query,
    who: &'a Principal,
    now: Timestamp,
    account: Account,
    keys: HashMap<ItemId, KeyFacts>,
    /// Associations that are still looked at.
    associations_left: usize,
    /// Whether anything is associated for remote access: in most accounts nothing is, and then no
    /// item is looked up there.
    remote: bool,
}

/// Associations that are looked at for one listing; those of what comes later are left out.
const ASSOCIATIONS_MAX: usize = 10_000;

/// What an item shows of the key that protects it.
#[derive(Clone, Debug, Default)]
struct KeyFacts {
    /// Its path, if the caller may list it.
    name: Option<String>,
    customer_fragment: Option<Uid>,
}

impl<'a> Viewer<'a> {
    /// A viewer for `who`.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn new(q: &'a dyn Query, who: &'a Principal, now: Timestamp) -> Result<Self, Fault> {
        let account = account_now(q, who.account)?;
        let associations_left = ASSOCIATIONS_MAX;
        let remote = target_assocs::any(q, who.account)?;
        Ok(Self { q, who, now, account, keys: HashMap::new(), associations_left, remote })
    }

    /// The rights of the caller on an item, empty when they may not see it.
    pub(crate) fn permissions(&self, item: &Item) -> Capabilities {
        let held = self.who.permissions(RuleKind::Item, item.path.as_str(), self.now);
        if held.has(Capability::List) { held } else { Capabilities::NONE }
    }

    /// The view of an item the caller may see.
    ///
    /// The name of its protection key is left out when the caller may not list the key, just as
    /// when the account's default key protects it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn view(&mut self, mut item: Item, held: Capabilities) -> Result<ItemView, Fault> {
        let key = match (&item.key, item.protection_key) {
            (Some(info), _) => KeyFacts { name: None, customer_fragment: info.customer_fragment },
            (None, Some(id)) => self.key(id)?,
            (None, None) => match self.account.settings.default_key {
                Some(id) => KeyFacts { name: None, ..self.key(id)? },
                None => KeyFacts::default(),
            },
        };
        let associated = self.associated(&item)?;
        let parent = match item.kind {
            ItemKind::Target => self.parent(&item)?,
            _ => None,
        };
        let rotation = match item.kind {
            ItemKind::RotatedSecret => credential_rotations::view(self.q, item.id, self.now)?,
            _ => None,
        };
        // A lock that has ended is none.
        item.lock = item.lock.filter(|lock| self.now < lock.expires);
        Ok(ItemView {
            item,
            protection_key_name: key.name,
            customer_fragment: key.customer_fragment,
            permissions: held,
            versions: Vec::new(),
            last_used: None,
            associated,
            parent: parent.map(Box::new),
            rotation,
        })
    }

    /// What is at the other ends of an item's associations, as far as the caller may list it.
    fn associated(&mut self, item: &Item) -> Result<Vec<AssociatedItem>, Fault> {
        let most = self.associations_left.min(ASSOCIATED_MAX);
        let ids = match item.kind {
            ItemKind::DynamicSecret | ItemKind::RotatedSecret => {
                item_targets::of_item(self.q, item.id)?.into_iter().take(most).collect()
            }
            ItemKind::Target => item_targets::of_target(self.q, item.id, most)?,
            ItemKind::StaticSecret | ItemKind::Key(_) => Vec::new(),
        };
        let remote = self.for_remote_access(item, most - ids.len())?;
        self.associations_left -= ids.len() + remote.len();
        let mut associated = Vec::with_capacity(ids.len() + remote.len());
        for id in ids {
            associated.extend(self.visible(id)?);
        }
        for (id, assoc) in remote {
            let other = self.visible(id)?;
            associated.extend(other.map(|other| AssociatedItem { assoc: Some(assoc), ..other }));
        }
        Ok(associated)
    }

    /// What is associated for remote access, with the ids of the associations.
    fn for_remote_access(&self, item: &Item, most: usize) -> Result<Vec<(ItemId, AssocId)>, Fault> {
        if !self.remote {
            return Ok(Vec::new());
        }
        let found = match item.kind {
            ItemKind::Target => target_assocs::of_target(self.q, item.id, most)?,
            _ => target_assocs::of_item(self.q, item.id, most)?,
        };
        let other = |assoc: &TargetAssoc| match item.kind {
            ItemKind::Target => assoc.item,
            _ => assoc.target,
        };
        Ok(found.into_iter().map(|assoc| (other(&assoc), assoc.id)).collect())
    }

    /// The target whose credentials another one uses, if the caller may list it.
    fn parent(&self, item: &Item) -> Result<Option<AssociatedItem>, Fault> {
        match item_targets::of_item(self.q, item.id)? {
            Some(id) => self.visible(id),
            None => Ok(None),
        }
    }

    fn visible(&self, id: ItemId) -> Result<Option<AssociatedItem>, Fault> {
        let other = stored::by_id(self.q, self.who.account, id)?;
        Ok(other.filter(|other| !self.permissions(other).is_empty()).map(|other| {
            let Item { id, path, kind, engine, target, rotation, .. } = other;
            AssociatedItem { id, path, kind, engine, target, rotation, assoc: None }
        }))
    }

    fn key(&mut self, id: ItemId) -> Result<KeyFacts, Fault> {
        if let Some(known) = self.keys.get(&id) {
            return Ok(known.clone());
        }
        let facts = self.read_key(self.who.account, id)?;
        self.keys.insert(id, facts.clone());
        Ok(facts)
    }

    fn read_key(&self, account: AccountId, id: ItemId) -> Result<KeyFacts, Fault> {
        let Some(key) = stored::by_id(self.q, account, id)? else {
            return Ok(KeyFacts::default());
        };
        let visible = self.who.may(RuleKind::Item, key.path.as_str(), Capability::List, self.now);
        Ok(KeyFacts {
            name: visible.then(|| key.path.to_string()),
            customer_fragment: key.key.and_then(|info| info.customer_fragment),
        })
    }
}
