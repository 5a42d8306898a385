//! Handing out work: rotations that are due, with what they are done with.
//!
//! What is handed out is taken for a while first, in one commit, so that no other gateway gets it
//! meanwhile; then the record of what it is done with is made durable; then it leaves. A gateway
//! that ends in between costs nothing but that while.

use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_domain::credential_rotation::Failure;
use keysherd_domain::item::{Item, ItemState};
use keysherd_plane::credential_rotations::{ROTATION_BATCH_MAX, RotationTake, RotationTakeReply};
use keysherd_store::credential_rotations::{self as stored, StoredRotation};
use keysherd_store::{Query, Reader, Tx, items};

use super::prepare::{Prepared, hand_out, prepare};
use super::report::{announce_failure, announce_next};
use super::{facts_of, subject};
use crate::clusters::served_by;
use crate::control::Control;
use crate::credential_leases::turns::by_turn;
use crate::gateways::GatewayIdentity;
use crate::items::usable::lock_in_force;

/// When what cannot be done now, or not be recorded, is looked at again, in seconds.
const POSTPONED_SECONDS: i64 = 900;
/// Secrets that are looked at to find whose turn it is.
const LOOKED_AT: usize = 256;

/// Hands out what is due, to be done by `gateway`.
///
/// # Errors
/// [`Fault::bad_request`] for more than there may be; those of the store.
pub(crate) async fn take(
    control: &Control,
    gateway: &GatewayIdentity,
    message: RotationTake,
) -> Result<RotationTakeReply, Fault> {
    if !(1..=ROTATION_BATCH_MAX).contains(&message.salts.len()) {
        return Err(Fault::bad_request(format!(
            "{} rotations at once; 1 to {ROTATION_BATCH_MAX} are possible",
            message.salts.len()
        )));
    }
    let now = control.now();
    let served = control.store.read(|reader| served_by(reader, gateway))?;
    let next = control.store.read(|reader| next_due(reader, &served))?;
    if next.is_none_or(|due| now < due) {
        let next_due_millis = next.map(|due| due.millis_since(now));
        return Ok(RotationTakeReply { next_due_millis, ..RotationTakeReply::default() });
    }
    let (clusters, limit) = (served.clone(), message.salts.len());
    let drawn = u64::from_be_bytes(control.rng.array()?);
    let choose = move |reader: &Reader| choose(reader, &clusters, (limit, drawn), now);
    let chosen = control.store.read_blocking(choose).await?;
    let (this, holder) = (control.clone(), *gateway);
    let job = move |tx: &Tx| {
        let mut taken = Vec::with_capacity(chosen.len());
        for (id, salt) in chosen.into_iter().zip(message.salts) {
            taken.extend(take_one(tx, &this, &holder, (id, salt), now)?);
        }
        Ok(taken)
    };
    let taken = control.store.commit(Vec::new(), job).await?;
    let (work, permits) = hand_out(control, gateway, taken, now).await?;
    let next = control.store.read(|reader| next_due(reader, &served))?;
    let next_due_millis = next.map(|due| due.millis_since(now).max(0));
    Ok(RotationTakeReply { work, permits, next_due_millis })
}

fn next_due(q: &dyn Query, clusters: &[i64]) -> Result<Option<Timestamp>, Fault> {
    let due: Vec<_> =
        clusters.iter().map(|cluster| stored::next_due(q, *cluster)).collect::<Result<_, _>>()?;
    Ok(due.into_iter().flatten().min())
}

/// What is due longest, of each account in its turn: targets that do not answer hold the places of
/// gateways, and whoever has many of them must not get each place that is given back.
fn choose(
    q: &dyn Query,
    clusters: &[i64],
    (limit, drawn): (usize, u64),
    now: Timestamp,
) -> Result<Vec<ItemId>, Fault> {
    let mut due = Vec::new();
    for cluster in clusters {
        due.extend(stored::due(q, *cluster, now, limit.max(LOOKED_AT))?);
    }
    due.sort_by_key(|found| found.rotation.due);
    let due = by_turn(due, drawn, |found| found.account);
    Ok(due.into_iter().take(limit).map(|found| found.item).collect())
}

/// Takes what was chosen, unless somebody else did since, or it has to wait.
fn take_one(
    tx: &Tx,
    control: &Control,
    gateway: &GatewayIdentity,
    (id, salt): (ItemId, [u8; 32]),
    now: Timestamp,
) -> Result<Option<Prepared>, Fault> {
    let is_due = |found: &StoredRotation| found.rotation.due.is_some_and(|due| due <= now);
    let Some(mut found) = stored::get(tx, id)?.filter(is_due) else { return Ok(None) };
    let Some(item) = items::by_id(tx, found.account, id)? else { return Ok(None) };
    let facts = facts_of(&item)?.clone();
    if !tx.can_record(found.account)? {
        // What cannot be recorded is not done; it must not be in the way of others.
        found.rotation.due = Some(now.plus_seconds(POSTPONED_SECONDS));
        stored::update(tx, id, &found.rotation)?;
        return Ok(None);
    }
    if found.rotation.tell(now) {
        announce_next(tx, control, (&item, &found.rotation), now)?;
        stored::update(tx, id, &found.rotation)?;
        if found.rotation.due.is_none_or(|due| now < due) {
            return Ok(None);
        }
    }
    if let Some(until) = waits(tx, &item, now)? {
        found.rotation.postpone(until);
        if found.rotation.due.is_some_and(|due| now < due) {
            stored::update(tx, id, &found.rotation)?;
            return Ok(None);
        }
    }
    let Some(attempt) = found.rotation.take(&facts, &gateway.spki_sha256, now) else {
        // Whoever was at it was not heard of again, and that was once too often for now.
        announce_failure(tx, control, (&item, &found.rotation), now)?;
        stored::update(tx, id, &found.rotation)?;
        return Ok(None);
    };
    match prepare(tx, &item, &found.rotation, attempt, salt) {
        Ok(prepared) => {
            stored::update(tx, id, &found.rotation)?;
            Ok(Some(prepared))
        }
        Err(fault) => {
            // Nothing was handed out, so nothing changes; but what an earlier one did is not known.
            found.rotation.failed(&facts, Failure::Unknown, fault.public(), now);
            announce_failure(tx, control, (&item, &found.rotation), now)?;
            stored::update(tx, id, &found.rotation)?;
            Ok(None)
        }
    }
}

/// Until when nothing new may be begun: somebody has locked the item or whose credentials they are,
/// or it is disabled.
fn waits(q: &dyn Query, item: &Item, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let subject = match subject(q, item, facts_of(item)?) {
        Ok(subject) if subject.id != item.id => Some(subject),
        _ => None,
    };
    let until = |item: &Item| {
        let lock = lock_in_force(item, now).filter(|lock| lock.update || lock.read);
        let disabled = item.state != ItemState::Enabled;
        lock.map(|lock| lock.expires).max(disabled.then(|| now.plus_seconds(POSTPONED_SECONDS)))
    };
    Ok(until(item).max(subject.as_ref().and_then(until)))
}
