//! Rotating keys: making a further version, and the work of wrapping anew what older ones wrap.
//!
//! The number of a version is taken for good before the managers start, so that a rotation that
//! was cut off leaves nothing another one could collide with. Values are re-wrapped by gateways,
//! which ask for batches ([`take`]) and hand back wraps ([`put`]); what is left is always read from
//! the values themselves, so nothing can get lost between a crash and the next batch.

pub(crate) mod put;
pub(crate) mod refresh;
pub(crate) mod reseal;
pub(crate) mod status;
pub(crate) mod take;

#[cfg(test)]
mod tests;

use keysherd_audit::{Param, action};
use keysherd_base::limits::MANIFEST_BYTES_MAX;
use keysherd_base::{Fault, Timestamp, Uid};
use keysherd_crypto::permit::Class;
use keysherd_domain::item::{Item, ItemKind, ItemState, KeyAlgorithm, KeyInfo};
use keysherd_domain::role::Capability;
use keysherd_plane::Caller;
use keysherd_plane::grants::KeyRef;
use keysherd_plane::items::SealedValue;
use keysherd_plane::rotation::{
    KeyRotate, KeyRotateBegin, KeyRotateBeginReply, KeyRotateReply, RotatedKey,
};
use keysherd_store::key_rotations::{self, Rotation, RotationState};
use keysherd_store::keys::{self, ProtectionKey};
use keysherd_store::{Query, Tx, item_versions, items as stored, key_wraps};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::create::new_version;
use crate::items::protection::Protection;
use crate::items::sealed::{self, Sealing};
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::{account_now, item_param, permitted};
use crate::keys::{check_managers, check_threshold, has_fixed_material};
use crate::session::Principal;

/// The key that a rotation is about, as it is stored.
struct Target {
    /// The key item; `None` for the original key.
    item: Option<Item>,
    algorithm: Option<KeyAlgorithm>,
    /// Its newest version.
    newest: ProtectionKey,
}

impl Target {
    /// Finds a key that the bearer may rotate.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] or [`Fault::not_found`]; [`Fault::forbidden`] by state or lock;
    /// [`Fault::bad_request`] for an item that is no key.
    fn find(
        q: &dyn Query,
        who: &Principal,
        key: &RotatedKey,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let RotatedKey::Named(path) = key else {
            who.require_admin()?;
            let key_id = account_now(q, who.account)?.original_key;
            return Ok(Self { item: None, algorithm: None, newest: newest(q, key_id)? });
        };
        let item = permitted(who, path, Capability::Update, now, || {
            stored::by_path(q, who.account, path)
        })?;
        let (ItemKind::Key(algorithm), Some(info)) = (item.kind, &item.key) else {
            return Err(Fault::bad_request(format!(
                "item {} is a {}, not a key; only keys are rotated this way",
                item.path,
                item.kind.type_name()
            )));
        };
        check_enabled(&item)?;
        check_unlocked(&item, who, Use::Update, now)?;
        let newest = newest(q, info.key_id)?;
        Ok(Self { item: Some(item), algorithm: Some(algorithm), newest })
    }
}

fn newest(q: &dyn Query, key_id: Uid) -> Result<ProtectionKey, Fault> {
    keys::latest(q, key_id)?
        .ok_or_else(|| Fault::internal(format_args!("key {key_id} is not recorded")))
}

/// The name of a key in audit records.
fn key_param(key: &RotatedKey) -> Param {
    match key {
        RotatedKey::Named(path) => item_param(path),
        RotatedKey::Original => Param::public("item_name", "original key"),
    }
}

/// Permits to make a further version of a key.
///
/// # Errors
/// As for finding the key (`update` on its path, an administrator for the original key);
/// [`Fault::bad_request`] for a number of managers that is not possible.
pub(crate) async fn begin(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: KeyRotateBegin,
) -> Result<KeyRotateBeginReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let found = message.managers.map_or(Ok(()), check_managers).and_then(|()| {
        control.store.read(|reader| Target::find(reader, &who, &message.key, now).map(drop))
    });
    let (key, by) = (message.key.clone(), who.clone());
    let reserved = match found {
        Ok(()) => {
            control.store.commit(Vec::new(), move |tx: &Tx| reserve(tx, &by, &key, now)).await
        }
        Err(refused) => Err(refused),
    };
    let (target, version) = match reserved {
        Ok(reserved) => reserved,
        Err(refused) => {
            let params = vec![key_param(&message.key)];
            let draft = audit_draft(caller, &who, action::ROTATE_ITEM, "", params);
            return control.recorded(draft, Err(refused)).await;
        }
    };
    let Target { algorithm, newest, .. } = target;
    let to = KeyRef {
        key_id: newest.key_id,
        version,
        customer_fragment: message.customer_fragment.or(newest.customer_fragment),
    };
    let (account, subject) = (who.account, who.permit_subject());
    let salt = message.self_test_salt;
    let permit =
        control.permit_generation(account, (to.key_id, version), salt, subject, gateway)?;
    Ok(KeyRotateBeginReply {
        account: account.0,
        to,
        from: key_ref(&newest),
        group: newest.group,
        managers: message.managers.unwrap_or(newest.managers),
        algorithm,
        permit,
    })
}

/// Takes the next number of a key.
fn reserve(
    tx: &Tx,
    who: &Principal,
    key: &RotatedKey,
    now: Timestamp,
) -> Result<(Target, u32), Fault> {
    let target = Target::find(tx, who, key, now)?;
    let key_id = target.newest.key_id;
    let highest = key_rotations::highest(tx, key_id)?.unwrap_or(0).max(target.newest.version);
    let version = highest
        .checked_add(1)
        .ok_or_else(|| Fault::forbidden("the key has no version numbers left; make a new key"))?;
    let rotation = Rotation {
        key_id,
        version,
        account: who.account,
        state: RotationState::Reserved,
        access_id: who.access_id().as_str().to_owned(),
        started: now,
        finished: None,
        values_found: 0,
        problem: String::new(),
    };
    key_rotations::put(tx, &rotation)?;
    key_rotations::forget_reserved(tx, key_id, version)?;
    Ok((target, version))
}

fn key_ref(key: &ProtectionKey) -> KeyRef {
    KeyRef { key_id: key.key_id, version: key.version, customer_fragment: key.customer_fragment }
}

/// Records a further version of a key.
///
/// # Errors
/// As [`begin`]; [`Fault::conflict`] when another rotation was faster; [`Fault::bad_request`]
/// when threshold, manifest or sealed material are not as they should be.
pub(crate) async fn rotate(
    control: &Control,
    caller: &Caller,
    message: KeyRotate,
) -> Result<KeyRotateReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let mut params = vec![
        key_param(&message.key),
        Param::public("new_version", message.to.version.to_string()),
        Param::public("split_level", message.managers.to_string()),
    ];
    let fragment = message.to.customer_fragment;
    params.extend(fragment.map(|id| Param::public("customer_frg_id", id.to_string())));
    let found = control.store.read(|reader| Target::find(reader, &who, &message.key, now));
    let algorithm = found.as_ref().ok().and_then(|target| target.algorithm);
    let item_type = algorithm.map_or("", KeyAlgorithm::name);
    let draft = audit_draft(caller, &who, action::ROTATE_ITEM, item_type, params);
    let plan = found.and_then(|_| check(&message)).map(|()| {
        let who = who.clone();
        move |tx: &Tx| record(tx, &who, message, now)
    });
    control.change(draft, plan).await
}

fn check(message: &KeyRotate) -> Result<(), Fault> {
    check_managers(message.managers)?;
    check_threshold(message.threshold, message.managers)?;
    if message.manifest.is_empty() || message.manifest.len() > MANIFEST_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "invalid manifest: {} bytes; 1 to {MANIFEST_BYTES_MAX} are possible",
            message.manifest.len()
        )));
    }
    Ok(())
}

fn record(
    tx: &Tx,
    who: &Principal,
    message: KeyRotate,
    now: Timestamp,
) -> Result<KeyRotateReply, Fault> {
    let Target { item, algorithm, newest } = Target::find(tx, who, &message.key, now)?;
    let to = message.to;
    let reserved = key_rotations::get(tx, to.key_id, to.version)?
        .filter(|rotation| rotation.state == RotationState::Reserved);
    let Some(reserved) = reserved.filter(|_| newest.key_id == to.key_id) else {
        return Err(Fault::conflict(
            "the key was rotated by somebody else at the same time; look at its state with \
             rewrap-status",
        ));
    };
    let key = ProtectionKey {
        version: to.version,
        account: who.account,
        state: ItemState::Enabled,
        customer_fragment: to.customer_fragment,
        managers: message.managers,
        threshold: message.threshold,
        created: now,
        manifest: message.manifest,
        ..newest
    };
    keys::insert(tx, &key)?;
    let values_found = key_wraps::counts(tx, key.key_id)?.iter().map(|(_, count)| count).sum();
    let rotation =
        Rotation { state: RotationState::Running, started: now, values_found, ..reserved };
    key_rotations::put(tx, &rotation)?;
    key_rotations::forget_older(tx, key.key_id, key.version)?;
    let item = match (item, algorithm) {
        (Some(item), Some(algorithm)) => {
            Some(renew(tx, who, item, algorithm, &key, message.sealed, now)?)
        }
        _ => None,
    };
    Ok(KeyRotateReply { item, version: key.version, values: values_found })
}

/// Writes the new version into the key item.
fn renew(
    tx: &Tx,
    who: &Principal,
    mut item: Item,
    algorithm: KeyAlgorithm,
    key: &ProtectionKey,
    material: Option<std::sync::Arc<[u8]>>,
    now: Timestamp,
) -> Result<Item, Fault> {
    let to = key_ref(key);
    item.key = Some(KeyInfo {
        key_id: key.key_id,
        version: key.version,
        managers: key.managers,
        threshold: key.threshold,
        customer_fragment: key.customer_fragment,
    });
    item.last_version = key.version;
    item.modified = now;
    match (material, has_fixed_material(algorithm)) {
        (None, false) => {}
        (Some(ciphertext), true) => {
            let sealing = Sealing {
                account: who.account,
                uid: item.uid,
                version: key.version,
                class: Class::SealedKey,
                key: to,
            };
            sealed::check(&ciphertext, &sealing)?;
            item.size_bytes = ciphertext.len() as u64;
            let own = Protection { item: Some(item.id), key: to };
            let value = SealedValue { ciphertext, key: to, unconfirmed: false, name_tag: None };
            let version = new_version(who, key.version, &own, value, now);
            item_versions::put(tx, item.id, &version)?;
        }
        (material, _) => {
            return Err(Fault::bad_request(format!(
                "a version of a key of algorithm {} is recorded {} sealed material",
                algorithm.name(),
                if material.is_some() { "without" } else { "with" }
            )));
        }
    }
    stored::update(tx, &item)?;
    Ok(item)
}

/// To be told of every value that was written: one under an older version, which was granted before
/// a rotation, has the work on the key taken up again.
///
/// # Errors
/// Those of the store.
pub(crate) fn written(tx: &Tx, key: &KeyRef) -> Result<(), Fault> {
    let newest = key_rotations::newest(tx, key.key_id)?;
    let done = |r: &Rotation| r.state == RotationState::Finished && key.version < r.version;
    if let Some(rotation) = newest.filter(done) {
        let running = Rotation { state: RotationState::Running, finished: None, ..rotation };
        key_rotations::put(tx, &running)?;
    }
    Ok(())
}
