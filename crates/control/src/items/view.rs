//! Items as a caller may see them.

use std::collections::HashMap;

use keysherd_base::{AccountId, Fault, ItemId, Timestamp, Uid};
use keysherd_domain::account::Account;
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capabilities, Capability, RuleKind};
use keysherd_plane::items::ItemView;
use keysherd_store::{Query, items as stored};

use super::account_now;
use crate::session::Principal;

/// Makes views of many items of one account, and looks each protection key up once.
pub(crate) struct Viewer<'a> {
    q: &'a dyn Query,
    who: &'a Principal,
    now: Timestamp,
    account: Account,
    keys: HashMap<ItemId, KeyFacts>,
}

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
        Ok(Self { q, who, now, account, keys: HashMap::new() })
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
        // A lock that has ended is none.
        item.lock = item.lock.filter(|lock| self.now < lock.expires);
        Ok(ItemView {
            item,
            protection_key_name: key.name,
            customer_fragment: key.customer_fragment,
            permissions: held,
            versions: Vec::new(),
            last_used: None,
        })
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
