//! Rotated secrets: setting them up, the work of changing their credentials, which gateways ask for
//! ([`work`]) or begin for somebody ([`begin`]), and what they say about it ([`said`], [`report`]).
//!
//! What is due is an index of the store, as it is for temporary credentials. New credentials are a
//! candidate, a version that nobody reads, of the rotated secret or of the target whose own they
//! are: that one is the *subject* here. What may happen next follows from
//! `keysherd_domain::credential_rotation` alone. (`crate::rotation` is about keys.)

pub(crate) mod begin;
pub(crate) mod facts;
pub(crate) mod owned;
pub(crate) mod prepare;
pub(crate) mod report;
pub(crate) mod said;
pub(crate) mod work;

#[cfg(test)]
mod tests;

use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_domain::credential_rotation::{CredentialRotation, Reason, Retiring};
use keysherd_domain::item::Item;
use keysherd_domain::rotated_secret::RotationFacts;
use keysherd_plane::credential_rotations::RotationView;
use keysherd_store::credential_rotations::{self as stored, StoredRotation};
use keysherd_store::{Query, Tx, item_targets, items};

use crate::session::Principal;

/// Stands for the command in audit records: nobody asked for this now.
const COMMAND: &str = "rotate-credentials";

/// What is known of a rotated secret.
///
/// # Errors
/// [`Fault::bad_request`] for an item that is none.
fn facts_of(item: &Item) -> Result<&RotationFacts, Fault> {
    item.rotation.as_ref().ok_or_else(|| {
        Fault::bad_request(format!(
            "{} is a {}, not a rotated secret; name one that is",
            item.called(),
            item.kind.type_name()
        ))
    })
}

/// Where the rotations of a rotated secret stand.
///
/// # Errors
/// [`Fault::internal`] when that is not recorded.
fn standing(q: &dyn Query, item: &Item) -> Result<StoredRotation, Fault> {
    stored::get(q, item.id)?
        .ok_or_else(|| Fault::internal(format_args!("item {} has no rotations", item.uid)))
}

/// Whose versions the credentials are: the rotated secret itself, or its target.
///
/// # Errors
/// [`Fault::conflict`] when the target is gone.
fn subject(q: &dyn Query, item: &Item, facts: &RotationFacts) -> Result<Item, Fault> {
    if !facts.of_target {
        return Ok(item.clone());
    }
    target(q, item)?.ok_or_else(|| {
        Fault::conflict(format!("the target of {} was deleted; delete this as well", item.called()))
    })
}

/// The target of a rotated secret.
fn target(q: &dyn Query, item: &Item) -> Result<Option<Item>, Fault> {
    let Some(id) = item_targets::of_item(q, item.id)? else { return Ok(None) };
    items::by_id(q, item.account, id)
}

/// Begins the rotations of an item that was made just now, if it is a rotated secret.
///
/// # Errors
/// Those of the store.
pub(crate) fn set_up(tx: &Tx, who: &Principal, item: &Item, now: Timestamp) -> Result<(), Fault> {
    let Some(facts) = &item.rotation else { return Ok(()) };
    let rotation = CredentialRotation::new(facts, who.access_id().clone(), now);
    let (item, account, cluster) = (item.id, item.account, facts.cluster);
    stored::insert(tx, &StoredRotation { item, account, cluster, rotation })
}

/// Follows a change of a rotated secret's settings.
///
/// # Errors
/// Those of the store.
pub(crate) fn changed(tx: &Tx, who: &Principal, item: &Item, now: Timestamp) -> Result<(), Fault> {
    let Some(facts) = &item.rotation else { return Ok(()) };
    let mut rotation = standing(tx, item)?.rotation;
    rotation.access_id = who.access_id().clone();
    rotation.reschedule(facts, now);
    stored::update(tx, item.id, &rotation)?;
    Ok(())
}

/// How many versions of an item are kept that is to keep so many: more while old credentials are
/// still to be removed.
///
/// # Errors
/// Those of the store.
pub(crate) fn versions_kept(q: &dyn Query, item: &Item, kept: u32) -> Result<u32, Fault> {
    let mut needed = kept;
    for rotation in facts::of_versions(q, item)? {
        let stays = |old: Retiring| item.last_version.saturating_sub(old.version) + 1;
        needed = needed.max(rotation.retiring.map_or(0, stays));
    }
    Ok(needed)
}

/// To be told when a rotated secret is locked.
///
/// # Errors
/// Those of the store.
pub(crate) fn locked(tx: &Tx, item: &Item) -> Result<(), Fault> {
    let rotates = |facts: &RotationFacts| facts.check_out.is_some_and(|out| out.rotate_on_unlock);
    let (Some(lock), true) = (&item.lock, item.rotation.as_ref().is_some_and(rotates)) else {
        return Ok(());
    };
    let mut rotation = standing(tx, item)?.rotation;
    rotation.ask(Reason::Unlock, lock.expires);
    stored::update(tx, item.id, &rotation)?;
    Ok(())
}

/// To be told when a rotated secret is unlocked before its time.
///
/// # Errors
/// Those of the store.
pub(crate) fn unlocked(tx: &Tx, item: &Item, now: Timestamp) -> Result<(), Fault> {
    let Some(facts) = &item.rotation else { return Ok(()) };
    let mut rotation = standing(tx, item)?.rotation;
    rotation.unlocked(facts.check_out.is_some_and(|out| out.rotate_on_unlock), now);
    stored::update(tx, item.id, &rotation)?;
    Ok(())
}

/// How the rotations of a secret stand, for who may list it.
///
/// # Errors
/// Those of the store.
pub(crate) fn view(
    q: &dyn Query,
    item: ItemId,
    now: Timestamp,
) -> Result<Option<RotationView>, Fault> {
    Ok(stored::get(q, item)?.map(|found| {
        let under_way = found.rotation.is_under_way(now);
        let CredentialRotation { next, rotated, outcome, last_error, asked, .. } = found.rotation;
        let unlock_pending = asked.is_some_and(|asked| asked.reason == Reason::Unlock);
        RotationView { next, rotated, outcome, last_error, under_way, unlock_pending }
    }))
}
