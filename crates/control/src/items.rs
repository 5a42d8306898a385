//! Items: secrets and keys as metadata and ciphertext. What their use cases share.
//!
//! A change reads the item twice: once before the commit, to refuse at once what is refused anyway
//! and to know what the audit record is about, and once inside of it, where nobody else writes.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod display;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod made;
pub(crate) mod moves;
pub(crate) mod protection;
pub(crate) mod sealed;
pub(crate) mod state;
pub(crate) mod target_assocs;
pub(crate) mod update;
pub(crate) mod usable;
pub(crate) mod value;
pub(crate) mod view;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use keysherd_audit::Param;
use keysherd_base::{AccountId, Fault, ItemPath, Timestamp};
use keysherd_domain::account::Account;
use keysherd_domain::item::{Actor, Item};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_store::{Query, Tx, items as stored};

use crate::audit::audit_draft;
use crate::authorize::absent;
use crate::control::Control;
use crate::session::Principal;
use cache::ItemCache;

/// What item use cases keep between requests.
#[derive(Default)]
pub(crate) struct ItemState {
    pub(crate) cache: ItemCache,
}

/// One item that its caller wants to change.
#[derive(Clone)]
pub(crate) struct ItemChange {
    pub(crate) who: Principal,
    pub(crate) path: ItemPath,
    /// What it takes.
    pub(crate) capability: Capability,
    pub(crate) now: Timestamp,
}

/// How a change of an item is recorded.
pub(crate) struct Changing {
    pub(crate) path: ItemPath,
    pub(crate) capability: Capability,
    pub(crate) action: &'static str,
    /// Parameters of the audit record beyond the item's name.
    pub(crate) params: Vec<Param>,
}

impl ItemChange {
    /// The item, if the caller may change it.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] or [`Fault::not_found`], as `authorize` has it.
    pub(crate) fn find(&self, q: &dyn Query) -> Result<Item, Fault> {
        permitted(&self.who, &self.path, self.capability, self.now, || {
            stored::by_path(q, self.who.account, &self.path)
        })
    }
}

impl Control {
    /// Runs `edit` on one item, in one commit, if the caller may.
    ///
    /// # Errors
    /// [`Fault::unauthorized`], [`Fault::not_found`], and those of `edit`.
    pub(crate) async fn change_item<T, E>(
        &self,
        caller: &Caller,
        who: Principal,
        changing: Changing,
        edit: E,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        E: FnOnce(&Tx, &ItemChange, Item) -> Result<T, Fault> + Send + 'static,
    {
        let Changing { path, capability, action, params: more } = changing;
        let mut params = vec![item_param(&path)];
        params.extend(more);
        let change = ItemChange { who, path, capability, now: self.now() };
        let found = self.store.read(|reader| change.find(reader));
        let item_type = found.as_ref().map_or("", |item| item.kind.type_name());
        let draft = audit_draft(caller, &change.who, action, item_type, params);
        let plan = found.map(|_| {
            move |tx: &Tx| {
                let item = change.find(tx)?;
                edit(tx, &change, item)
            }
        });
        self.change(draft, plan).await
    }
}

/// What `find` finds at `path`, if the bearer may use `capability` there. When they may not even
/// see it, it is not looked for, so that not even time tells whether it is there.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`], by the table of `authorize`.
pub(crate) fn permitted<T>(
    who: &Principal,
    path: &ItemPath,
    capability: Capability,
    now: Timestamp,
    find: impl FnOnce() -> Result<Option<T>, Fault>,
) -> Result<T, Fault> {
    let kind = RuleKind::Item;
    let missing = || absent(kind, path.as_str());
    if let Err(refused) = who.require(kind, path.as_str(), capability, now) {
        let sees = who.may(kind, path.as_str(), Capability::List, now);
        return Err(if sees && find()?.is_none() { missing() } else { refused });
    }
    find()?.ok_or_else(missing)
}

/// The account as it is inside of a transaction.
///
/// # Errors
/// [`Fault::internal`] when it is gone.
pub(crate) fn account_now(q: &dyn Query, id: AccountId) -> Result<Account, Fault> {
    keysherd_store::accounts::get(q, id)?
        .ok_or_else(|| Fault::internal(format_args!("account {id} has no row")))
}

/// The bearer as items remember who did something.
pub(crate) fn actor(who: &Principal) -> Actor {
    Actor { access_id: who.access_id().clone(), unique_id: who.unique_id.to_string() }
}

/// The parameter of an audit record that names an item.
pub(crate) fn item_param(path: &ItemPath) -> Param {
    Param::public("item_name", path.to_string())
}
