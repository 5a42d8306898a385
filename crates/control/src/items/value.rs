//! New values of secrets: which version one becomes, and recording it.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_crypto::permit::Class;
use keysherd_domain::account::VersionSettings;
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::Capability;
use keysherd_plane::Caller;
use keysherd_plane::items::{ValuePut, ValuePutReply};
use keysherd_store::{Tx, item_targets, item_versions, items as stored};

use super::create::new_version;
use super::protection::Chooser;
use super::sealed::{self, Sealing};
use super::usable::{Use, check_enabled, check_unlocked};
use super::{Changing, ItemChange, account_now, check, made};
use crate::control::Control;
use crate::credential_rotations::{self, facts::check_still};
use crate::rotation;

/// Where a new value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    /// The version it becomes.
    pub(crate) version: u32,
    /// Whether it replaces that version.
    pub(crate) overwrite: bool,
}

/// The version a new value becomes.
///
/// It replaces the newest one only if there is one, the account does not force new versions, and
/// the caller, or else the account, does not want the previous value kept.
///
/// # Errors
/// [`Fault::conflict`] when the newest version is not the expected one.
pub(crate) fn numbering(
    item: &Item,
    settings: &VersionSettings,
    keep_previous: Option<bool>,
    expected_version: Option<u32>,
) -> Result<Numbering, Fault> {
    if let Some(expected) = expected_version
        && expected != item.last_version
    {
        return Err(Fault::conflict(format!(
            "{} has version {}, not {expected}; read it again before you change it",
            item.called(),
            item.last_version
        ))
        .with_code("Conflict"));
    }
    let keep = settings.force_new_versions || keep_previous.unwrap_or(settings.default_versioning);
    let overwrite = !keep && item.last_version > 0;
    let next = item.last_version.checked_add(1).ok_or_else(|| {
        Fault::forbidden(format!("{} has no version numbers left", item.called()))
    })?;
    Ok(Numbering { version: if overwrite { item.last_version } else { next }, overwrite })
}

/// Refuses items that have no value to change.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_has_values(item: &Item) -> Result<(), Fault> {
    match item.kind {
        ItemKind::StaticSecret
        | ItemKind::DynamicSecret
        | ItemKind::Target
        | ItemKind::RotatedSecret => Ok(()),
        ItemKind::Key(algorithm) => Err(Fault::bad_request(format!(
            "item {} is a key ({}), which has no value to change",
            item.path,
            algorithm.name()
        ))),
    }
}

/// Records a new value of a secret.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path, [`Fault::conflict`] when another write was
/// faster, [`Fault::forbidden`] by state, lock or policy, [`Fault::bad_request`] for a value that
/// is not as it should be.
pub(crate) async fn put(
    control: &Control,
    caller: &Caller,
    message: ValuePut,
) -> Result<ValuePutReply, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.path.clone(),
        capability: Capability::Update,
        action: action::UPDATE_ITEM,
        params: vec![
            Param::public("version", message.version.to_string()),
            Param::public("new_version", (!message.overwrite).to_string()),
        ],
    };
    let record = |tx: &Tx, change: &ItemChange, item| record(tx, change, item, message);
    control.change_item(caller, who, changing, record).await
}

fn record(
    tx: &Tx,
    change: &ItemChange,
    mut item: Item,
    message: ValuePut,
) -> Result<ValuePutReply, Fault> {
    let (who, now) = (&change.who, change.now);
    check_has_values(&item)?;
    check_enabled(&item)?;
    check_unlocked(&item, who, Use::Update, now)?;
    check_still_next(&item, &message)?;
    check_still(tx, &item, now)?;
    sealed::check(
        &message.value.ciphertext,
        &Sealing {
            account: who.account,
            uid: item.uid,
            version: message.version,
            class: Class::SecretItem,
            key: message.value.key,
        },
    )?;
    let account = account_now(tx, who.account)?;
    let chooser = Chooser { q: tx, who, account: &account, now };
    let protection = chooser.recheck(&item, &message.value.key)?;
    if let Some(sites) = message.websites {
        check::websites(&sites)?;
        item.websites = sites;
    }
    let used = made::remade(tx, who, &mut item, message.made.as_ref(), now)?;
    made::check_move(tx, &item, used, message.moved)?;
    made::check_hosts(tx, (who, &item), message.moved, now)?;
    item.format = message.format.unwrap_or(item.format);
    item.last_version = message.version;
    item.protection_key = protection.item;
    item.size_bytes = message.value.ciphertext.len() as u64;
    item.modified = now;
    let version = new_version(who, message.version, &protection, message.value, now);
    stored::update(tx, &item)?;
    if let Some(target) = used {
        item_targets::set(tx, item.id, target)?;
    }
    item_versions::put(tx, item.id, &version)?;
    rotation::written(tx, &protection.key)?;
    credential_rotations::changed(tx, who, &item, now)?;
    let kept = check::versions_kept(&item, &account);
    item_versions::prune(tx, item.id, credential_rotations::versions_kept(tx, &item, kept)?)?;
    Ok(ValuePutReply { item })
}

/// Refuses a value that was sealed for a version that somebody else wrote in the meantime.
fn check_still_next(item: &Item, message: &ValuePut) -> Result<(), Fault> {
    let expected =
        if message.overwrite { Some(item.last_version) } else { item.last_version.checked_add(1) };
    let exists = !message.overwrite || item.last_version > 0;
    if item.uid == message.uid && expected == Some(message.version) && exists {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "{} was changed by somebody else at the same time; send the new value again",
        item.called()
    ))
    .with_code("Conflict"))
}
