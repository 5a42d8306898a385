//! Recording new secrets: static ones, and the settings of dynamic and rotated secrets and targets.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_crypto::permit::Class;
use keysherd_domain::account::Account;
use keysherd_domain::item::{Item, ItemState, ItemVersion};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::items::{SealedValue, SecretCreate, SecretCreateReply};
use keysherd_store::{Tx, item_targets, item_versions, items as stored};

use super::display::display_id;
use super::protection::{Chooser, Protection};
use super::sealed::{self, Sealing};
use super::{account_now, actor, check, item_param, made};
use crate::audit::audit_draft;
use crate::clusters::access;
use crate::control::Control;
use crate::credential_rotations;
use crate::gateways::GatewayIdentity;
use crate::rotation;
use crate::session::Principal;

/// The version a new secret has.
pub(crate) const FIRST_VERSION: u32 = 1;

/// Records a new secret.
///
/// # Errors
/// [`Fault::unauthorized`] without `create` on the path, or without `list` on a target that is
/// chosen, [`Fault::conflict`] when the path is
/// taken, [`Fault::forbidden`] by the account's policies, [`Fault::bad_request`] for a value or
/// parameter that is not as it should be.
pub(crate) async fn create(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    mut message: SecretCreate,
) -> Result<SecretCreateReply, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![item_param(&message.path)];
    let named = message.protection_key.as_ref();
    params.extend(named.map(|key| Param::public("protection_key", key.to_string())));
    let item_type = made::kind_of(&message.made).type_name();
    let draft = audit_draft(caller, &who, action::CREATE_ITEM, item_type, params);
    message.cluster_key = control
        .store
        .read(|reader| access::cluster_key(reader, gateway, &who, message.cluster_key))?;
    let plan = plan(who, *gateway, message, control.now());
    control.change(draft, plan).await
}

fn plan(
    who: Principal,
    gateway: GatewayIdentity,
    message: SecretCreate,
    now: Timestamp,
) -> Result<impl FnOnce(&Tx) -> Result<SecretCreateReply, Fault> + use<>, Fault> {
    let path = message.path.as_str();
    who.require(RuleKind::Item, path, Capability::Create, now)?;
    made::check_place(made::kind_of(&message.made), &message.path)?;
    check::description(&message.description)?;
    check::websites(&message.websites)?;
    check::max_versions(message.max_versions)?;
    let item = blank(&who, &message, now)?;
    sealed::check(
        &message.value.ciphertext,
        &Sealing {
            account: who.account,
            uid: message.uid,
            version: FIRST_VERSION,
            class: Class::SecretItem,
            key: message.value.key,
        },
    )?;
    Ok(move |tx: &Tx| insert(tx, (&who, &gateway), item, message, now))
}

fn insert(
    tx: &Tx,
    (who, gateway): (&Principal, &GatewayIdentity),
    mut item: Item,
    message: SecretCreate,
    now: Timestamp,
) -> Result<SecretCreateReply, Fault> {
    let account = account_now(tx, who.account)?;
    let warnings = check::root_path(&item.path, &account)?;
    let target = made::made(tx, (who, gateway), &mut item, &message.made, now)?;
    let chooser = Chooser { q: tx, who, account: &account, now };
    let (named, of_cluster) = (message.protection_key.as_ref(), message.cluster_key);
    let protection = chooser.recheck_new(named, of_cluster, &message.value.key)?;
    item.protection_key = protection.item;
    item.delete_protection = protects(message.delete_protection, &account);
    item.id = stored::insert(tx, &item)?;
    if target.is_some() {
        item_targets::set(tx, item.id, target)?;
    }
    credential_rotations::set_up(tx, who, &item, now)?;
    let version = new_version(who, FIRST_VERSION, &protection, message.value, now);
    item_versions::put(tx, item.id, &version)?;
    rotation::written(tx, &protection.key)?;
    Ok(SecretCreateReply { item, warnings })
}

/// The item as far as it does not depend on the store.
fn blank(who: &Principal, message: &SecretCreate, now: Timestamp) -> Result<Item, Fault> {
    let mut tags = Vec::new();
    check::tags(&mut tags, &message.tags, &[])?;
    let mut custom_fields = Default::default();
    check::custom_fields(&mut custom_fields, message.custom_fields.clone())?;
    Ok(Item {
        id: ItemId(0),
        uid: message.uid,
        display_id: display_id(who.account, message.uid)?,
        account: who.account,
        path: message.path.clone(),
        kind: made::kind_of(&message.made),
        secret_kind: message.secret_kind,
        format: message.format,
        description: message.description.clone(),
        tags,
        state: ItemState::Enabled,
        deletion_at: None,
        personal: None,
        last_version: FIRST_VERSION,
        max_versions: message.max_versions,
        delete_protection: false,
        protection_key: None,
        size_bytes: message.value.ciphertext.len() as u64,
        key: None,
        websites: message.websites.clone(),
        custom_fields,
        change_event: message.change_event,
        lock: None,
        engine: None,
        target: None,
        rotation: None,
        created: now,
        modified: now,
    })
}

/// Whether a new item starts with delete protection.
pub(crate) fn protects(wanted: Option<bool>, account: &Account) -> bool {
    wanted.unwrap_or(account.settings.protect_items_by_default)
}

/// A version as it is stored.
pub(crate) fn new_version(
    who: &Principal,
    number: u32,
    protection: &Protection,
    value: SealedValue,
    now: Timestamp,
) -> ItemVersion {
    ItemVersion {
        version: number,
        state: ItemState::Enabled,
        key_id: protection.key.key_id,
        key_version: protection.key.version,
        protection_key: protection.item,
        customer_fragment: protection.key.customer_fragment,
        ciphertext: value.ciphertext,
        unconfirmed: value.unconfirmed,
        name_tag: value.name_tag,
        by: Some(actor(who)),
        created: now,
    }
}
