//! Handing out work: values that older versions of a key wrap, with a permit to re-wrap them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{AccessId, Fault, KeyId, RequestId, Timestamp, Uid};
use keysherd_crypto::envelope::{Envelope, HEAD_BYTES_MAX};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, PermitEntry, Subject};
use keysherd_domain::item::ItemState;
use keysherd_plane::grants::KeyRef;
use keysherd_plane::rotation::{
    REWRAP_BATCH_MAX, RewrapBatch, RewrapPlace, RewrapTake, RewrapTakeReply, RewrapValue,
};
use keysherd_store::key_rotations::{self, Rotation, RotationState};
use keysherd_store::key_wraps::{self, Place, Wrapped};
use keysherd_store::{Query, Reader, Tx, items as stored, keys};

use super::key_ref;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::cache::key_of;
use crate::items::sealed::salt_in;
use crate::permits::PermitBatch;

/// Rotations that are looked at for one batch; the others wait their turn.
const ROTATIONS_MAX: usize = 1_000;
/// Keys a gateway may leave out.
const EXCEPT_MAX: usize = 1_000;
/// Seconds a gateway has a key to itself after it took a batch of it, so that two gateways do not
/// do the same work. Nothing but work is lost when they do.
const LEASE_SECONDS: i64 = 30;
/// Stands for the command in audit records: nobody asked for this now.
pub(super) const COMMAND: &str = "rewrap";

/// Which gateway works on which key.
#[derive(Default)]
pub(crate) struct RewrapLeases(Mutex<HashMap<KeyId, (GatewayIdentity, Timestamp)>>);

impl RewrapLeases {
    /// Takes the key for this gateway, unless another one has it.
    fn take(&self, key: KeyId, gateway: &GatewayIdentity, now: Timestamp) -> bool {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|_, (_, until)| now < *until);
        if leases.get(&key).is_some_and(|(holder, _)| holder != gateway) {
            return false;
        }
        leases.insert(key, (*gateway, now.plus_seconds(LEASE_SECONDS)));
        true
    }
}

/// Values of one key.
struct Work {
    rotation: Rotation,
    to: KeyRef,
    /// The manifests of all key versions involved.
    manifests: Vec<(u32, Arc<[u8]>)>,
    /// Each with its item's identity.
    values: Vec<(Uid, Wrapped)>,
    more: bool,
}

/// What was found to do.
enum Found {
    /// Values to re-wrap.
    Work(Work),
    /// Nothing is wrapped by older versions.
    Finished(Rotation),
    /// Nothing to do at all.
    Nothing,
}

/// Hands out work, bound to `gateway`. The record of what is handed out is durable before.
///
/// # Errors
/// [`Fault::bad_request`] for more salts or exceptions than there may be; those of the store.
pub(crate) async fn take(
    control: &Control,
    gateway: &GatewayIdentity,
    message: RewrapTake,
) -> Result<RewrapTakeReply, Fault> {
    if message.salts.len() > REWRAP_BATCH_MAX || message.except.len() > EXCEPT_MAX {
        return Err(Fault::bad_request(format!(
            "too much work was asked for: at most {REWRAP_BATCH_MAX} values, leaving out at most \
             {EXCEPT_MAX} keys"
        )));
    }
    let (message, now) = (Arc::new(message), control.now());
    loop {
        let (this, holder, wanted) = (control.clone(), *gateway, message.clone());
        let find = move |reader: &Reader| find(reader, &this, &holder, &wanted, now);
        match control.store.read_blocking(find).await? {
            Found::Nothing => return Ok(RewrapTakeReply { batch: None, permits: Vec::new() }),
            Found::Finished(rotation) => finish(control, rotation, now).await?,
            Found::Work(work) => {
                return hand_out(control, gateway, work, &message.salts, now).await;
            }
        }
    }
}

fn find(
    q: &dyn Query,
    control: &Control,
    gateway: &GatewayIdentity,
    message: &RewrapTake,
    now: Timestamp,
) -> Result<Found, Fault> {
    for rotation in key_rotations::running(q, ROTATIONS_MAX)? {
        let key_id = rotation.key_id;
        if message.except.contains(&key_id) {
            continue;
        }
        if !key_wraps::any_older(q, key_id, rotation.version)? {
            return Ok(Found::Finished(rotation));
        }
        let newest = keys::get(q, key_id, rotation.version)?;
        // A disabled key waits; enabling it is enough.
        let Some(newest) = newest.filter(|key| key.state == ItemState::Enabled) else { continue };
        if !control.rewraps.take(key_id, gateway, now) {
            continue;
        }
        let after = message.after.filter(|(key, _)| *key == key_id);
        let after = after.map(|(_, place)| stored_place(place)).unwrap_or_default();
        let limit = message.salts.len();
        let found = key_wraps::older(q, key_id, rotation.version, after, limit, HEAD_BYTES_MAX)?;
        let more = found.len() == limit && limit > 0;
        let values = found
            .into_iter()
            .filter_map(|wrapped| {
                let item = stored::by_id(q, rotation.account, wrapped.item).transpose()?;
                Some(item.map(|item| (item.uid, wrapped)))
            })
            .collect::<Result<Vec<_>, Fault>>()?;
        let mut manifests = vec![(newest.version, newest.manifest.clone())];
        for (_, wrapped) in &values {
            let version = wrapped.version.key_version;
            if manifests.iter().all(|(known, _)| *known != version) {
                let manifest = keys::manifest(q, key_id, version)?;
                manifests.extend(manifest.map(|manifest| (version, manifest)));
            }
        }
        return Ok(Found::Work(Work { to: key_ref(&newest), rotation, manifests, values, more }));
    }
    Ok(Found::Nothing)
}

const fn stored_place(place: RewrapPlace) -> Place {
    Place { key_version: place.key_version, item: place.item.0, version: place.version }
}

async fn hand_out(
    control: &Control,
    gateway: &GatewayIdentity,
    work: Work,
    salts: &[[u8; 32]],
    now: Timestamp,
) -> Result<RewrapTakeReply, Fault> {
    let Work { rotation, to, manifests, values, more } = work;
    let rotation = &rotation;
    let last = values.last().map(|(_, wrapped)| RewrapPlace {
        key_version: wrapped.version.key_version,
        item: wrapped.item,
        version: wrapped.version.version,
    });
    let subject = Subject {
        access_id_sha256: sha256(&[rotation.access_id.as_bytes()]),
        token_sha256: [0; 32],
    };
    let mut permits = PermitBatch::default();
    let mut granted = Vec::with_capacity(values.len());
    for ((uid, wrapped), salt) in values.into_iter().zip(salts) {
        let (item, version) = (wrapped.item, wrapped.version.version);
        match grant(&mut permits, rotation, (to, *salt), subject, uid, wrapped)? {
            Some(value) => granted.push(value),
            None => tracing::warn!(%item, version, "a value cannot be wrapped anew now"),
        }
    }
    let mut sequence = Vec::new();
    if !granted.is_empty() {
        let draft = draft(control, rotation, &to, now, "values", granted.len())?;
        let mut records = vec![(draft, None)];
        permits.explain(control, &mut records)?;
        sequence = control.store.record(records).await?;
    }
    let permits = permits.sign(control, gateway, &sequence)?;
    let next = last.filter(|_| more);
    let batch = RewrapBatch { account: rotation.account.0, to, manifests, values: granted, next };
    Ok(RewrapTakeReply { batch: Some(batch), permits })
}

/// Permits the two derivations of one value; `None` when it is not confirmed yet, when its envelope
/// is not one, or not wrapped as its row says.
fn grant(
    permits: &mut PermitBatch,
    rotation: &Rotation,
    (to, salt): (KeyRef, [u8; 32]),
    subject: Subject,
    uid: Uid,
    wrapped: Wrapped,
) -> Result<Option<RewrapValue>, Fault> {
    let Wrapped { item, version, head } = wrapped;
    // One that is still to be confirmed waits for that: its gateway knows it by its bytes.
    if version.unconfirmed {
        return Ok(None);
    }
    let from = key_of(&version);
    let Ok((head, _)) = Envelope::split_head(&head) else { return Ok(None) };
    let Ok(envelope) = Envelope::parse_head(head) else { return Ok(None) };
    let (Some(class), Some(old_salt)) =
        (Class::from_number(envelope.header().class), salt_in(&envelope, &from))
    else {
        return Ok(None);
    };
    if !matches!(class, Class::SecretItem | Class::SealedKey) {
        return Ok(None);
    }
    let entry = |key: KeyRef, salt| PermitEntry {
        key_id: key.key_id,
        key_version: key.version,
        class,
        item_id: uid,
        item_version: u64::from(version.version),
        salt,
        subject,
    };
    let mut add = |entry| permits.add(rotation.account, Op::Rewrap, entry, Some(0));
    let (old_slot, new_slot) = (add(entry(from, old_salt))?, add(entry(to, salt))?);
    let (version, head) = (version.version, head.into());
    Ok(Some(RewrapValue { item, uid, version, head, from, old_slot, new_slot }))
}

/// The record of a part of the work.
pub(super) fn draft(
    control: &Control,
    rotation: &Rotation,
    to: &KeyRef,
    now: Timestamp,
    what: &'static str,
    count: usize,
) -> Result<Draft, Fault> {
    let request = RequestId::random(&*control.rng)?;
    let mut draft =
        Draft::new(rotation.account, request, COMMAND.into(), action::REWRAP_VALUES, now);
    draft.access_id = AccessId::parse(&rotation.access_id).ok();
    draft.params = vec![
        Param::public("key_id", to.key_id.to_string()),
        Param::public("new_version", to.version.to_string()),
        Param::public(what, count.to_string()),
    ];
    Ok(draft)
}

async fn finish(control: &Control, rotation: Rotation, now: Timestamp) -> Result<(), Fault> {
    let to = KeyRef { key_id: rotation.key_id, version: rotation.version, customer_fragment: None };
    let draft = draft(control, &rotation, &to, now, "values_left", 0)?;
    control.store.commit(vec![draft], move |tx: &Tx| finish_if_done(tx, &rotation, now)).await?;
    Ok(())
}

/// Marks a rotation as finished if nothing is left to do; gives whether it is.
///
/// # Errors
/// Those of the store.
pub(super) fn finish_if_done(tx: &Tx, rotation: &Rotation, now: Timestamp) -> Result<bool, Fault> {
    let current = key_rotations::get(tx, rotation.key_id, rotation.version)?;
    let Some(current) = current else { return Ok(false) };
    if key_wraps::any_older(tx, current.key_id, current.version)? {
        return Ok(false);
    }
    if current.state == RotationState::Running {
        let finished = Rotation {
            state: RotationState::Finished,
            finished: Some(now),
            problem: String::new(),
            ..current
        };
        key_rotations::put(tx, &finished)?;
    }
    Ok(true)
}
