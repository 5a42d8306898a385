//! Wishes to use a key on messages.
//!
//! Encrypting and decrypting both take `read` on the key: the derivation is the same, so a finer
//! distinction would only be the gateway's word.

use keysherd_base::Fault;
use keysherd_crypto::permit::{Class, Op, PermitEntry};
use keysherd_domain::item::{Item, ItemKind, ItemState, ItemVersion, KeyAlgorithm, KeyInfo};
use keysherd_domain::role::Capability;
use keysherd_plane::grants::{Granted, ItemRef, KeyRef};
use keysherd_store::{item_versions, keys};

use super::Batch;
use super::read::entry_of;
use crate::control::Control;
use crate::items::cache::{CachedItem, key_of};
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::keys::has_fixed_material;
use crate::session::Principal;

/// Which key is used, and how.
pub(super) struct KeyUse<'a> {
    pub(super) key: &'a ItemRef,
    /// A key version; `None`: the newest.
    pub(super) version: Option<u32>,
    /// The window's salt.
    pub(super) salt: [u8; 32],
}

impl Batch {
    /// Grants the use of a key.
    pub(super) fn transit(
        &mut self,
        control: &Control,
        who: &Principal,
        wish: &KeyUse<'_>,
        record: usize,
    ) -> Result<Granted, Fault> {
        let entry = control.permitted_item(who, wish.key, Capability::Read, self.now)?;
        let item = &entry.item;
        let (ItemKind::Key(algorithm), Some(info)) = (item.kind, &item.key) else {
            return Err(Fault::bad_request(format!(
                "item {} is a {}, not a key; name a key",
                item.path,
                item.kind.type_name()
            )));
        };
        check_enabled(item)?;
        check_unlocked(item, who, Use::Read, self.now)?;
        let version = wish.version.unwrap_or(info.version);
        if has_fixed_material(algorithm) {
            return self.sealed_key(control, who, &entry, algorithm, version, record);
        }
        let key = key_version(control, item, info, version)?;
        let derivation = PermitEntry {
            key_id: key.key_id,
            key_version: key.version,
            class: Class::TransitWindow,
            item_id: key.key_id,
            item_version: 0,
            salt: wish.salt,
            subject: who.permit_subject(),
        };
        let permit_slot = if self.with_permit {
            Some(self.permits.add(who.account, Op::Transit, derivation, Some(record))?)
        } else {
            None
        };
        Ok(Granted::Transit { item_id: item.id, key, algorithm, permit_slot })
    }

    fn sealed_key(
        &mut self,
        control: &Control,
        who: &Principal,
        entry: &CachedItem,
        algorithm: KeyAlgorithm,
        version: u32,
        record: usize,
    ) -> Result<Granted, Fault> {
        let item = &entry.item;
        let current = entry.current.as_ref().filter(|current| current.version == version);
        let loaded: ItemVersion;
        let material = match current {
            Some(current) => current,
            None => {
                let found =
                    control.store.read(|reader| item_versions::get(reader, item.id, version))?;
                loaded = found.ok_or_else(|| no_such_key(item, version))?;
                &loaded
            }
        };
        let permit_slot = if self.with_permit {
            let derivation = entry_of(item, material, Class::SealedKey, who.permit_subject())?;
            Some(self.permits.add(who.account, Op::Read, derivation, Some(record))?)
        } else {
            None
        };
        Ok(Granted::SealedKey {
            item_id: item.id,
            uid: item.uid,
            version: material.version,
            key: key_of(material),
            algorithm,
            ciphertext: material.ciphertext.clone(),
            permit_slot,
        })
    }
}

/// A version of a key, if there is such a one and it may be used.
fn key_version(
    control: &Control,
    item: &Item,
    info: &KeyInfo,
    version: u32,
) -> Result<KeyRef, Fault> {
    let newest = KeyRef {
        key_id: info.key_id,
        version: info.version,
        customer_fragment: info.customer_fragment,
    };
    if version == newest.version {
        return Ok(newest);
    }
    let found = control.store.read(|reader| keys::get(reader, info.key_id, version))?;
    let usable = found.filter(|key| key.state == ItemState::Enabled);
    let key = usable.ok_or_else(|| no_such_key(item, version))?;
    Ok(KeyRef { version, customer_fragment: key.customer_fragment, ..newest })
}

fn no_such_key(item: &Item, version: u32) -> Fault {
    Fault::not_found(format!(
        "key {} has no version {version} that may be used; check which version is meant",
        item.path
    ))
}
