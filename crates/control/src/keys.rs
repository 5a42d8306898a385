//! Protection keys: their manifests, and making a new one.
//!
//! The managers make the key; control permits it, and records it when all of them have signed its
//! manifest. Control cannot read a manifest: gateways and managers verify it against the owner's
//! trust bundle, so control is not asked to be believed.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::MANIFEST_BYTES_MAX;
use keysherd_base::{Fault, ItemId, ItemPath, Timestamp, Uid};
use keysherd_crypto::permit::Class;
use keysherd_domain::item::{Item, ItemKind, ItemState, KeyAlgorithm, KeyInfo};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::grants::KeyRef;
use keysherd_plane::items::SealedValue;
use keysherd_plane::keys::{
    KeyBegin, KeyBeginReply, KeyCreate, KeyCreateReply, ManifestGet, ManifestGetReply,
};
use keysherd_store::keys::ProtectionKey;
use keysherd_store::{Query, Tx, item_versions, items as stored};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::create::{new_version, protects};
use crate::items::display::display_id;
use crate::items::protection::Protection;
use crate::items::sealed::{self, Sealing};
use crate::items::{account_now, check, item_param, made};

use crate::session::Principal;

mod purge;

#[cfg(test)]
mod tests;

/// Managers a key may have.
const MANAGERS: std::ops::RangeInclusive<u8> = 2..=7;
/// Fewest managers that may be needed: the generation protocol knows no less.
const THRESHOLD_MIN: u8 = 2;
/// The version of every fresh key.
pub(crate) const FIRST_VERSION: u32 = 1;

/// Reads the signed manifest of a key version of the caller's account.
///
/// # Errors
/// [`Fault::not_found`], also for a key of another account.
pub(crate) async fn manifest(
    control: &Control,
    caller: &Caller,
    message: ManifestGet,
) -> Result<ManifestGetReply, Fault> {
    let who = control.principal(caller).await?;
    let ManifestGet { key_id, version } = message;
    let found = control.store.read(|reader| keysherd_store::keys::get(reader, key_id, version));
    let outcome = found.and_then(|key| {
        key.filter(|key| key.account == who.account).ok_or_else(|| {
            Fault::not_found(format!("version {version} of key {key_id} does not exist"))
        })
    });
    match outcome {
        Ok(key) => Ok(ManifestGetReply { manifest: key.manifest }),
        Err(fault) => {
            let params = vec![Param::public("key_id", key_id.to_string())];
            let action = action::GET_ITEM_DERIVATION_CREDS;
            let draft = audit_draft(caller, &who, action, "", params);
            control.recorded(draft, Err(fault)).await
        }
    }
}

/// Permits to make a key.
///
/// # Errors
/// [`Fault::unauthorized`] without `create` on the path, [`Fault::conflict`] when it is taken,
/// [`Fault::forbidden`] by the account's policy, [`Fault::bad_request`] for a number of managers
/// that is not possible.
pub(crate) async fn begin(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: KeyBegin,
) -> Result<KeyBeginReply, Fault> {
    let group = control.group_of(gateway)?;
    let who = control.principal(caller).await?;
    let checked = check_managers(message.managers)
        .and_then(|()| check::description(&message.description))
        .and_then(|()| check::tags(&mut Vec::new(), &message.tags, &[]))
        .and_then(|()| made::check_place(ItemKind::Key(message.algorithm), &message.path))
        .and_then(|()| {
            control.store.read(|reader| check_place(reader, &who, &message.path, control.now()))
        });
    if let Err(refused) = checked {
        let algorithm = message.algorithm.name();
        let params = vec![item_param(&message.path), Param::public("alg", algorithm)];
        let draft = audit_draft(caller, &who, action::CREATE_ITEM, algorithm, params);
        return control.recorded(draft, Err(refused)).await;
    }
    let key_id = Uid::random(&*control.rng)?;
    let (account, subject) = (who.account, who.permit_subject());
    let salt = message.self_test_salt;
    let key = (key_id, FIRST_VERSION);
    let permit = control.permit_generation(account, key, salt, subject, gateway)?;
    Ok(KeyBeginReply { account: account.0, key_id, group, permit })
}

/// Demands that the caller may make something at a free path. Gives what deserves attention.
///
/// # Errors
/// [`Fault::unauthorized`], [`Fault::conflict`] or [`Fault::forbidden`].
pub(crate) fn check_place(
    q: &dyn Query,
    who: &Principal,
    path: &ItemPath,
    now: Timestamp,
) -> Result<Vec<String>, Fault> {
    who.require(RuleKind::Item, path.as_str(), Capability::Create, now)?;
    let warnings = check::root_path(path, &account_now(q, who.account)?)?;
    match stored::by_path(q, who.account, path)? {
        None => Ok(warnings),
        Some(item) => Err(Fault::conflict(format!(
            "an item named {path} already exists ({}); choose another name",
            item.kind.type_name()
        ))),
    }
}

/// Refuses a number of managers that a key cannot have.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_managers(managers: u8) -> Result<(), Fault> {
    if MANAGERS.contains(&managers) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid split-level {managers}: a key has {} to {} fragment managers",
        MANAGERS.start(),
        MANAGERS.end()
    )))
}

/// Refuses a threshold that a key cannot have.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_threshold(threshold: u8, managers: u8) -> Result<(), Fault> {
    if (THRESHOLD_MIN..=managers).contains(&threshold) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid threshold {threshold}: {THRESHOLD_MIN} to {managers} of the managers can be needed"
    )))
}

/// Records a key whose managers have all signed its manifest.
///
/// # Errors
/// As [`begin`]; [`Fault::conflict`] also when this very key is recorded already;
/// [`Fault::bad_request`] when threshold, manifest or sealed material are not as they should be.
pub(crate) async fn create(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: KeyCreate,
) -> Result<KeyCreateReply, Fault> {
    let group = control.group_of(gateway)?;
    let who = control.principal(caller).await?;
    let mut params = vec![
        item_param(&message.path),
        Param::public("alg", message.algorithm.name()),
        Param::public("split_level", message.managers.to_string()),
    ];
    let fragment = message.customer_fragment;
    params.extend(fragment.map(|id| Param::public("customer_frg_id", id.to_string())));
    let item_type = message.algorithm.name();
    let draft = audit_draft(caller, &who, action::CREATE_ITEM, item_type, params);
    let plan = plan_create(control, who, group, message);
    control.change(draft, plan).await
}

fn plan_create(
    control: &Control,
    who: Principal,
    group: String,
    message: KeyCreate,
) -> Result<impl FnOnce(&Tx) -> Result<KeyCreateReply, Fault> + use<>, Fault> {
    let now = control.now();
    who.require(RuleKind::Item, message.path.as_str(), Capability::Create, now)?;
    made::check_place(ItemKind::Key(message.algorithm), &message.path)?;
    check_key(&who, &message)?;
    let item = key_item(&who, &message, now)?;
    let key = ProtectionKey {
        key_id: message.key_id,
        version: FIRST_VERSION,
        account: who.account,
        state: ItemState::Enabled,
        group,
        customer_fragment: message.customer_fragment,
        managers: message.managers,
        threshold: message.threshold,
        created: now,
        manifest: Arc::clone(&message.manifest),
    };
    Ok(move |tx: &Tx| insert(tx, &who, &key, item, message, now))
}

fn insert(
    tx: &Tx,
    who: &Principal,
    key: &ProtectionKey,
    mut item: Item,
    message: KeyCreate,
    now: Timestamp,
) -> Result<KeyCreateReply, Fault> {
    let warnings = check_place(tx, who, &item.path, now)?;
    item.delete_protection = protects(message.delete_protection, &account_now(tx, who.account)?);
    keysherd_store::keys::insert(tx, key)?;
    item.id = stored::insert(tx, &item)?;
    if let Some(ciphertext) = message.sealed {
        let own = Protection { item: Some(item.id), key: own_key(&message.customer_fragment, key) };
        let value = SealedValue { ciphertext, key: own.key, unconfirmed: false, name_tag: None };
        let version = new_version(who, FIRST_VERSION, &own, value, now);
        item_versions::put(tx, item.id, &version)?;
    }
    Ok(KeyCreateReply { item, warnings })
}

fn own_key(customer_fragment: &Option<Uid>, key: &ProtectionKey) -> KeyRef {
    KeyRef { key_id: key.key_id, version: key.version, customer_fragment: *customer_fragment }
}

/// What can be checked of a new key without its managers.
fn check_key(who: &Principal, message: &KeyCreate) -> Result<(), Fault> {
    check_managers(message.managers)?;
    check::description(&message.description)?;
    check_threshold(message.threshold, message.managers)?;
    if message.manifest.is_empty() || message.manifest.len() > MANIFEST_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "invalid manifest: {} bytes; 1 to {MANIFEST_BYTES_MAX} are possible",
            message.manifest.len()
        )));
    }
    match (&message.sealed, has_fixed_material(message.algorithm)) {
        (None, false) => Ok(()),
        (Some(ciphertext), true) => {
            let key = KeyRef {
                key_id: message.key_id,
                version: FIRST_VERSION,
                customer_fragment: message.customer_fragment,
            };
            let (account, class) = (who.account, Class::SealedKey);
            let sealing =
                Sealing { account, uid: message.key_id, version: FIRST_VERSION, class, key };
            sealed::check(ciphertext, &sealing)
        }
        (sealed, _) => Err(Fault::bad_request(format!(
            "a key of algorithm {} is recorded {} sealed material",
            message.algorithm.name(),
            if sealed.is_some() { "without" } else { "with" }
        ))),
    }
}

/// Whether keys of this algorithm are fixed material that is sealed under the fragments. The
/// others derive a key for each window of messages.
pub(crate) const fn has_fixed_material(algorithm: KeyAlgorithm) -> bool {
    !matches!(algorithm, KeyAlgorithm::Aes128Gcm | KeyAlgorithm::Aes256Gcm)
}

fn key_item(who: &Principal, message: &KeyCreate, now: Timestamp) -> Result<Item, Fault> {
    let mut tags = Vec::new();
    check::tags(&mut tags, &message.tags, &[])?;
    Ok(Item {
        id: ItemId(0),
        uid: message.key_id,
        display_id: display_id(who.account, message.key_id)?,
        account: who.account,
        path: message.path.clone(),
        kind: ItemKind::Key(message.algorithm),
        secret_kind: Default::default(),
        format: Default::default(),
        description: message.description.clone(),
        tags,
        state: ItemState::Enabled,
        deletion_at: None,
        personal: None,
        last_version: FIRST_VERSION,
        max_versions: None,
        delete_protection: false,
        protection_key: None,
        size_bytes: message.sealed.as_ref().map_or(0, |sealed| sealed.len() as u64),
        key: Some(KeyInfo {
            key_id: message.key_id,
            version: FIRST_VERSION,
            managers: message.managers,
            threshold: message.threshold,
            customer_fragment: message.customer_fragment,
        }),
        websites: Vec::new(),
        custom_fields: Default::default(),
        change_event: false,
        lock: None,
        engine: None,
        target: None,
        rotation: None,
        created: now,
        modified: now,
    })
}
