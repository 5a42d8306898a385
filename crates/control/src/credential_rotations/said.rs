//! What a gateway says while it is at work: that it needs longer, and that credentials are stored
//! before they are set.

use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_crypto::permit::Class;
use keysherd_domain::item::{Item, ItemState, ItemVersion};
use keysherd_plane::Done;
use keysherd_plane::credential_rotations::{RotationHold, RotationKeep};
use keysherd_plane::items::SealedValue;
use keysherd_store::credential_rotations::{self as stored, StoredRotation};
use keysherd_store::{Query, Tx, item_versions, items, keys};

use super::{facts_of, subject};
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::sealed::{self, Sealing};
use crate::rotation;

/// Where the rotations stand that `gateway` works on with this attempt, and the item.
///
/// # Errors
/// [`Fault::conflict`] when somebody else does by now, or nobody.
pub(super) fn worked_on(
    q: &dyn Query,
    gateway: &GatewayIdentity,
    item: ItemId,
    attempt: u32,
) -> Result<(StoredRotation, Item), Fault> {
    let found = stored::get(q, item)?
        .filter(|found| found.rotation.work_of(&gateway.spki_sha256, attempt).is_some());
    let found = found.ok_or_else(taken_by_others)?;
    let item = items::by_id(q, found.account, item)?.ok_or_else(taken_by_others)?;
    Ok((found, item))
}

/// The refusal of who has the work no more. It says nothing of whether there is such an item.
pub(super) fn taken_by_others() -> Fault {
    Fault::conflict("this rotation is not this gateway's any more; somebody else goes on with it")
        .with_code("RotationTaken")
}

/// Prolongs the time of an attempt.
///
/// # Errors
/// [`Fault::conflict`] when somebody else has the work by now, or it has taken too long.
pub(crate) async fn hold(
    control: &Control,
    gateway: &GatewayIdentity,
    message: RotationHold,
) -> Result<Done, Fault> {
    let (gateway, now) = (*gateway, control.now());
    let job = move |tx: &Tx| {
        let (mut found, _) = worked_on(tx, &gateway, message.item, message.attempt)?;
        prolong(tx, &mut found, now)
    };
    control.store.commit(Vec::new(), job).await
}

fn prolong(tx: &Tx, found: &mut StoredRotation, now: Timestamp) -> Result<Done, Fault> {
    found.rotation.hold(now).ok_or_else(taken_by_others)?;
    stored::update(tx, found.item, &found.rotation)?;
    Ok(Done)
}

/// Stores credentials that are not set yet.
///
/// # Errors
/// [`Fault::conflict`] when somebody else has the work by now, its time is over, or the item was
/// changed or got another path; [`Fault::bad_request`] for a value that is not as it should be.
pub(crate) async fn keep(
    control: &Control,
    gateway: &GatewayIdentity,
    message: RotationKeep,
) -> Result<Done, Fault> {
    let (gateway, now) = (*gateway, control.now());
    let job = move |tx: &Tx| {
        let (mut found, item) = worked_on(tx, &gateway, message.item, message.attempt)?;
        // Once its time is over the settings may have changed, and somebody else may be next.
        if found.rotation.taken.is_none_or(|taken| taken.until <= now) {
            return Err(taken_by_others());
        }
        let subject = subject(tx, &item, facts_of(&item)?)?;
        if subject.path != message.path {
            return Err(changed(&subject));
        }
        let stored_before = found.rotation.candidate.as_ref().map(|candidate| candidate.version);
        let next = stored_before.or(subject.last_version.checked_add(1));
        let version = next.ok_or_else(|| changed(&subject))?;
        if !found.rotation.keep(version, message.path) {
            return Err(taken_by_others());
        }
        let version = checked(tx, &subject, version, message.value, now)?;
        item_versions::put_candidate(tx, subject.id, &version)?;
        let key = crate::items::cache::key_of(&version);
        rotation::written(tx, &key)?;
        prolong(tx, &mut found, now)
    };
    control.store.commit(Vec::new(), job).await
}

/// A candidate as it is stored, if its envelope is what it was permitted as.
fn checked(
    q: &dyn Query,
    subject: &Item,
    number: u32,
    value: SealedValue,
    now: Timestamp,
) -> Result<ItemVersion, Fault> {
    let current = item_versions::latest(q, subject.id)?.ok_or_else(|| changed(subject))?;
    let known = keys::get(q, value.key.key_id, value.key.version)?
        .filter(|key| key.state == ItemState::Enabled && key.key_id == current.key_id)
        .filter(|key| key.customer_fragment == value.key.customer_fragment);
    let key = known.ok_or_else(|| changed(subject))?;
    let sealing = Sealing {
        account: subject.account,
        uid: subject.uid,
        version: number,
        class: Class::SecretItem,
        key: value.key,
    };
    sealed::check(&value.ciphertext, &sealing)?;
    Ok(ItemVersion {
        version: number,
        state: ItemState::Enabled,
        key_id: key.key_id,
        key_version: key.version,
        protection_key: current.protection_key,
        customer_fragment: key.customer_fragment,
        ciphertext: value.ciphertext,
        unconfirmed: value.unconfirmed,
        name_tag: value.name_tag,
        by: None,
        created: now,
    })
}

fn changed(subject: &Item) -> Fault {
    Fault::conflict(format!("{} was changed meanwhile; nothing was stored", subject.called()))
}
