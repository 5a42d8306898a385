//! Wishes to write: where a value will go, under which key, and nothing that would open another.
//!
//! Reading and writing derive the same keys. So a wish to write is refused when what it would
//! derive could belong to something that exists: the identity of a new item must be unused, and an
//! overwritten version must get another salt than it has.

use keysherd_audit::action;
use keysherd_base::{Fault, ItemId, ItemPath, Timestamp, Uid};
use keysherd_crypto::permit::{Class, Op, PermitEntry};
use keysherd_domain::item::{ItemState, ValueFormat};
use keysherd_domain::role::Capability;
use keysherd_plane::grants::{Granted, KeyRef, WriteTarget};
use keysherd_store::key_rotations::{self, RotationState};
use keysherd_store::{Query, item_versions, items as stored, keys};

use super::Batch;
use crate::clusters::access;
use crate::control::Control;
use crate::items::cache::key_of;
use crate::items::create::FIRST_VERSION;
use crate::items::display::is_taken;
use crate::items::protection::Chooser;
use crate::items::sealed::salt_of;
use crate::items::state::no_such_version;
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::value::{check_has_values, numbering};
use crate::items::{account_now, permitted};
use crate::keys::check_place;
use crate::session::Principal;

/// What a write will derive.
pub(super) struct Place {
    pub(super) uid: Uid,
    pub(super) version: u32,
    pub(super) overwrite: bool,
    pub(super) format: ValueFormat,
    pub(super) class: Class,
    pub(super) key: KeyRef,
}

/// A new value as its wish describes it.
struct NewValue {
    path: ItemPath,
    protection_key: Option<ItemPath>,
    keep_previous: Option<bool>,
    expected_version: Option<u32>,
}

impl Batch {
    /// Grants a write, always with a permit.
    pub(super) fn write(
        &mut self,
        control: &Control,
        who: &Principal,
        target: WriteTarget,
        salt: [u8; 32],
        record: usize,
    ) -> Result<Granted, Fault> {
        let now = self.now;
        let place = control.store.read(|reader| match target {
            WriteTarget::NewSecret { path, uid, protection_key, cluster_key } => {
                let cluster_key = access::cluster_key(reader, &self.at, who, cluster_key)?;
                new_secret(reader, who, (&path, uid), (protection_key.as_ref(), cluster_key), now)
            }
            WriteTarget::NewValue { path, protection_key, keep_previous, expected_version } => {
                let value = NewValue { path, protection_key, keep_previous, expected_version };
                new_value(reader, who, &value, &salt, now)
            }
            WriteTarget::NewSealedKey { path, key_id, customer_fragment } => {
                let key = KeyRef { key_id, version: crate::keys::FIRST_VERSION, customer_fragment };
                new_sealed_key(reader, who, &path, key, now)
            }
            WriteTarget::RotatedSealedKey { path, key } => {
                rotated_sealed_key(reader, who, &path, key, now)
            }
            WriteTarget::GatewayCluster { cluster, path: _, replaces, key } => {
                super::cluster::next_config(reader, who, (cluster, replaces), key.as_ref(), now)
            }
            WriteTarget::SameValue { path, version } => {
                same_value(reader, who, &path, version, &salt, now)
            }
        })?;
        let Place { uid, version, overwrite, format, class, key } = place;
        let derivation = PermitEntry {
            key_id: key.key_id,
            key_version: key.version,
            class,
            item_id: uid,
            item_version: u64::from(version),
            salt,
            subject: who.permit_subject(),
        };
        let permit_slot = self.permits.add(who.account, Op::Write, derivation, Some(record))?;
        let class = class.number();
        Ok(Granted::Write { uid, version, overwrite, format, class, key, permit_slot })
    }
}

/// How a refused write is recorded: the action, and the item's path.
pub(super) fn recorded_as(target: &WriteTarget) -> (&'static str, &ItemPath) {
    match target {
        WriteTarget::NewSecret { path, .. } | WriteTarget::NewSealedKey { path, .. } => {
            (action::CREATE_ITEM, path)
        }
        WriteTarget::NewValue { path, .. } | WriteTarget::SameValue { path, .. } => {
            (action::UPDATE_ITEM, path)
        }
        WriteTarget::RotatedSealedKey { path, .. } => (action::ROTATE_ITEM, path),
        WriteTarget::GatewayCluster { path, .. } => (action::UPDATE_GATEWAY_CONFIG, path),
    }
}

fn new_secret(
    q: &dyn Query,
    who: &Principal,
    (path, uid): (&ItemPath, Uid),
    (protection_key, cluster_key): (Option<&ItemPath>, Option<ItemId>),
    now: Timestamp,
) -> Result<Place, Fault> {
    check_place(q, who, path, now)?;
    if is_taken(q, who.account, uid)? {
        return Err(used_identity(path));
    }
    let account = account_now(q, who.account)?;
    let chooser = Chooser { q, who, account: &account, now };
    let protection = chooser.for_new_secret(protection_key, cluster_key)?;
    Ok(Place {
        uid,
        version: FIRST_VERSION,
        overwrite: false,
        format: ValueFormat::default(),
        class: Class::SecretItem,
        key: protection.key,
    })
}

fn new_value(
    q: &dyn Query,
    who: &Principal,
    value: &NewValue,
    salt: &[u8; 32],
    now: Timestamp,
) -> Result<Place, Fault> {
    let item = permitted(who, &value.path, Capability::Update, now, || {
        stored::by_path(q, who.account, &value.path)
    })?;
    check_has_values(&item)?;
    check_enabled(&item)?;
    check_unlocked(&item, who, Use::Update, now)?;
    let account = account_now(q, who.account)?;
    let settings = &account.settings.versions;
    let number = numbering(&item, settings, value.keep_previous, value.expected_version)?;
    if let Some(old) = item_versions::get(q, item.id, number.version)?
        && salt_of(&old.ciphertext, &key_of(&old)).as_ref() == Some(salt)
    {
        return Err(used_salt(&item.path));
    }
    let chooser = Chooser { q, who, account: &account, now };
    let protection = chooser.for_value(&item, value.protection_key.as_ref())?;
    Ok(Place {
        uid: item.uid,
        version: number.version,
        overwrite: number.overwrite,
        format: item.format,
        class: Class::SecretItem,
        key: protection.key,
    })
}

fn new_sealed_key(
    q: &dyn Query,
    who: &Principal,
    path: &ItemPath,
    key: KeyRef,
    now: Timestamp,
) -> Result<Place, Fault> {
    check_place(q, who, path, now)?;
    if is_taken(q, who.account, key.key_id)? || keys::latest(q, key.key_id)?.is_some() {
        return Err(used_identity(path));
    }
    // Whether the fragment is the manifest's is the gateway's to verify: control does not have
    // the manifest yet.
    Ok(Place {
        uid: key.key_id,
        version: FIRST_VERSION,
        overwrite: false,
        format: ValueFormat::default(),
        class: Class::SealedKey,
        key,
    })
}

/// Material of a version that is being made: its number was taken by a rotation, and nothing can
/// exist under it yet.
fn rotated_sealed_key(
    q: &dyn Query,
    who: &Principal,
    path: &ItemPath,
    key: KeyRef,
    now: Timestamp,
) -> Result<Place, Fault> {
    let item =
        permitted(who, path, Capability::Update, now, || stored::by_path(q, who.account, path))?;
    check_enabled(&item)?;
    check_unlocked(&item, who, Use::Update, now)?;
    let reserved = key_rotations::get(q, key.key_id, key.version)?
        .is_some_and(|rotation| rotation.state == RotationState::Reserved);
    let own = item.key.as_ref().is_some_and(|info| info.key_id == key.key_id);
    if !own || !reserved || keys::get(q, key.key_id, key.version)?.is_some() {
        return Err(Fault::conflict(format!(
            "key {path} was rotated by somebody else at the same time; look at its state with \
             rewrap-status"
        )));
    }
    Ok(Place {
        uid: item.uid,
        version: key.version,
        overwrite: false,
        format: ValueFormat::default(),
        class: Class::SealedKey,
        key,
    })
}

/// A version that exists, to be sealed again with another data key.
fn same_value(
    q: &dyn Query,
    who: &Principal,
    path: &ItemPath,
    number: u32,
    salt: &[u8; 32],
    now: Timestamp,
) -> Result<Place, Fault> {
    let item =
        permitted(who, path, Capability::Update, now, || stored::by_path(q, who.account, path))?;
    check_has_values(&item)?;
    check_enabled(&item)?;
    check_unlocked(&item, who, Use::Update, now)?;
    let old =
        item_versions::get(q, item.id, number)?.ok_or_else(|| no_such_version(&item, number))?;
    if salt_of(&old.ciphertext, &key_of(&old)).as_ref() == Some(salt) {
        return Err(used_salt(path));
    }
    let newest = keys::latest(q, old.key_id)?
        .ok_or_else(|| Fault::internal(format_args!("key {} is not recorded", old.key_id)))?;
    if newest.state != ItemState::Enabled {
        return Err(Fault::forbidden(format!(
            "version {number} of item {path} is under a key that is disabled; enable it first"
        )));
    }
    let key = KeyRef {
        key_id: newest.key_id,
        version: newest.version,
        customer_fragment: newest.customer_fragment,
    };
    Ok(Place {
        uid: item.uid,
        version: number,
        overwrite: true,
        format: item.format,
        class: Class::SecretItem,
        key,
    })
}

fn used_salt(path: &ItemPath) -> Fault {
    Fault::forbidden(format!(
        "item {path} was not changed: the salt is that of its current value; draw a fresh one"
    ))
}

fn used_identity(path: &ItemPath) -> Fault {
    Fault::conflict(format!(
        "item {path} was not created: the identity drawn for it is in use; try again"
    ))
}
