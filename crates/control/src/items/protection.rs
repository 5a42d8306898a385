//! Which key protects a value: the one that is named, the one the item has, the account's default.
//!
//! A key that somebody names must be one they may read, for whoever may read it may use it.

use keysherd_base::{Fault, ItemId, ItemPath, Timestamp};
use keysherd_domain::account::Account;
use keysherd_domain::item::{Item, ItemKind, ItemState};
use keysherd_domain::role::Capability;
use keysherd_plane::grants::KeyRef;
use keysherd_store::{Query, items as stored};

use super::display::by_uid;
use super::permitted;
use super::usable::{Use, check_enabled, check_unlocked};
use crate::session::Principal;

/// Seconds after a rotation in which values arrive that were granted before it: as long as a permit
/// lives, and the skew of two clocks.
pub(crate) const GRACE_SECONDS: i64 = 120;

/// A protection key that may be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    /// The key item; `None` when the item follows the account's default key.
    pub(crate) item: Option<ItemId>,
    /// The key and its newest version.
    pub(crate) key: KeyRef,
}

/// Who chooses a key, and where.
pub(crate) struct Chooser<'a> {
    pub(crate) q: &'a dyn Query,
    pub(crate) who: &'a Principal,
    /// As it is in `q`.
    pub(crate) account: &'a Account,
    pub(crate) now: Timestamp,
}

impl Chooser<'_> {
    /// The key of a new item.
    ///
    /// # Errors
    /// [`Fault::forbidden`] when the default key is prescribed, or the key is not usable;
    /// [`Fault::unauthorized`] or [`Fault::not_found`] for a key the caller may not read.
    pub(crate) fn for_new(&self, named: Option<&ItemPath>) -> Result<Protection, Fault> {
        match named {
            Some(path) => self.named(path, None),
            None => self.default(),
        }
    }

    /// The key of a new secret. `cluster_key` is the default key of the cluster that the gateway
    /// is in: whoever configures the cluster chose it, so the caller needs no right to it.
    ///
    /// # Errors
    /// As [`Self::for_new`]; [`Fault::conflict`] when the default key of the cluster is gone.
    pub(crate) fn for_new_secret(
        &self,
        named: Option<&ItemPath>,
        cluster_key: Option<ItemId>,
    ) -> Result<Protection, Fault> {
        match (named, cluster_key) {
            (None, Some(id)) => self.of_cluster(id),
            _ => self.for_new(named),
        }
    }

    /// The key of a new value of an item.
    ///
    /// # Errors
    /// As [`Self::for_new`].
    pub(crate) fn for_value(
        &self,
        item: &Item,
        named: Option<&ItemPath>,
    ) -> Result<Protection, Fault> {
        match named {
            Some(path) => self.named(path, item.protection_key),
            None => self.own(item),
        }
    }

    /// The key item `named`, chosen earlier, or the account's default key.
    ///
    /// # Errors
    /// As [`Self::for_new`].
    pub(crate) fn of_item_or_default(&self, named: Option<ItemId>) -> Result<Protection, Fault> {
        let Some(id) = named else { return self.default() };
        let key = self.by_id(id)?;
        Ok(Protection { item: Some(id), key: usable(&key)? })
    }

    /// Checks the choice a grant made by [`Self::of_item_or_default`].
    ///
    /// # Errors
    /// As [`Self::recheck`].
    pub(crate) fn recheck_choice(&self, named: Option<ItemId>, key: &KeyRef) -> Result<(), Fault> {
        let protection = self.of_item_or_default(named)?;
        self.accepted(protection, key)?.map(drop).ok_or_else(changed)
    }

    /// Checks the choice a grant made: `key` must still be one the caller may choose for `item`.
    ///
    /// # Errors
    /// As [`Self::for_new`]; [`Fault::conflict`] when the key is another one by now.
    pub(crate) fn recheck(&self, item: &Item, key: &KeyRef) -> Result<Protection, Fault> {
        if let Ok(own) = self.own(item)
            && let Some(protection) = self.accepted(own, key)?
        {
            return Ok(protection);
        }
        let chosen = by_uid(self.q, self.account.id, key.key_id)?.ok_or_else(changed)?;
        let protection = self.named(&chosen.path, item.protection_key)?;
        self.accepted(protection, key)?.ok_or_else(changed)
    }

    /// Checks the choice a grant made for a new secret.
    ///
    /// # Errors
    /// As [`Self::recheck`].
    pub(crate) fn recheck_new(
        &self,
        named: Option<&ItemPath>,
        cluster_key: Option<ItemId>,
        key: &KeyRef,
    ) -> Result<Protection, Fault> {
        let protection = self.for_new_secret(named, cluster_key)?;
        self.accepted(protection, key)?.ok_or_else(changed)
    }

    /// `chosen` with the version `key`, if that is its newest one, or was when the value was
    /// granted; `None` for any other key.
    fn accepted(&self, chosen: Protection, key: &KeyRef) -> Result<Option<Protection>, Fault> {
        if chosen.key == *key {
            return Ok(Some(chosen));
        }
        let newest = chosen.key;
        if key.key_id != newest.key_id || key.version >= newest.version {
            return Ok(None);
        }
        let stored = |version| keysherd_store::keys::get(self.q, key.key_id, version);
        let (before, now) = (stored(key.version)?, stored(newest.version)?);
        let usable = before.is_some_and(|before| {
            before.state == ItemState::Enabled && before.customer_fragment == key.customer_fragment
        });
        let recent = now.is_some_and(|now| self.now < now.created.plus_seconds(GRACE_SECONDS));
        Ok((usable && recent).then_some(Protection { key: *key, ..chosen }))
    }

    /// The key the item has, or the default.
    fn own(&self, item: &Item) -> Result<Protection, Fault> {
        self.of_item_or_default(item.protection_key)
    }

    fn default(&self) -> Result<Protection, Fault> {
        let Some(id) = self.account.settings.default_key else { return self.original() };
        let key = self.by_id(id)?;
        Ok(Protection { item: None, key: usable(&key)? })
    }

    fn original(&self) -> Result<Protection, Fault> {
        let key_id = self.account.original_key;
        let key = keysherd_store::keys::latest(self.q, key_id)?.ok_or_else(|| {
            Fault::internal(format_args!("original key {key_id} is not recorded"))
        })?;
        let key = KeyRef { key_id, version: key.version, customer_fragment: key.customer_fragment };
        Ok(Protection { item: None, key })
    }

    fn named(&self, path: &ItemPath, own: Option<ItemId>) -> Result<Protection, Fault> {
        let key = permitted(self.who, path, Capability::Read, self.now, || {
            stored::by_path(self.q, self.account.id, path)
        })?;
        let settings = &self.account.settings;
        if settings.lock_default_key && own != Some(key.id) && settings.default_key != Some(key.id)
        {
            return Err(Fault::forbidden(format!(
                "key {path} cannot be chosen: the account prescribes its default key; leave the \
                 protection key out"
            ))
            .with_code("DefaultKeyLocked"));
        }
        check_unlocked(&key, self.who, Use::Read, self.now)?;
        Ok(Protection { item: Some(key.id), key: usable(&key)? })
    }

    fn of_cluster(&self, id: ItemId) -> Result<Protection, Fault> {
        let settings = &self.account.settings;
        if settings.lock_default_key && settings.default_key != Some(id) {
            return Err(Fault::forbidden(
                "the account prescribes its default key, and the cluster of this gateway has \
                 another one; give the cluster none with gateway-update-defaults --key Default",
            )
            .with_code("DefaultKeyLocked"));
        }
        let key = stored::by_id(self.q, self.account.id, id)?.ok_or_else(|| {
            Fault::conflict(
                "the default key of this gateway's cluster does not exist any more; choose \
                 another one with gateway-update-defaults",
            )
        })?;
        Ok(Protection { item: Some(id), key: usable(&key)? })
    }

    fn by_id(&self, id: ItemId) -> Result<Item, Fault> {
        stored::by_id(self.q, self.account.id, id)?.ok_or_else(|| {
            Fault::conflict(
                "the key that was chosen for this does not exist any more; choose another one \
                 (protection-key; for the configuration of a gateway cluster gateway-rekey-config)",
            )
        })
    }
}

/// The newest version of a key that may protect items.
fn usable(key: &Item) -> Result<KeyRef, Fault> {
    let (ItemKind::Key(algorithm), Some(info)) = (key.kind, &key.key) else {
        return Err(Fault::bad_request(format!(
            "item {} is a {}, not a key; name a key as protection key",
            key.path,
            key.kind.type_name()
        )));
    };
    if !algorithm.protects_items() {
        return Err(Fault::bad_request(format!(
            "key {} ({}) cannot protect items, its cipher is not authenticated; name a GCM or SIV \
             key",
            key.path,
            algorithm.name()
        )));
    }
    check_enabled(key)?;
    Ok(KeyRef {
        key_id: info.key_id,
        version: info.version,
        customer_fragment: info.customer_fragment,
    })
}

fn changed() -> Fault {
    Fault::conflict("the protection key changed while the value was sealed; send it again")
}
