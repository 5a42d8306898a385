//! What an attempt needs: the versions that it works with, and where new credentials are stored.

use std::sync::Arc;

use keysherd_audit::{Draft, Param, action};
use keysherd_base::limits::READ_BYTES_MAX;
use keysherd_base::{AccessId, AccountId, Fault, RequestId, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, PermitEntry, Subject};
use keysherd_domain::credential_rotation::{Attempt, CredentialRotation, Reason, Task};
use keysherd_domain::item::{Item, ItemKind, ItemState, ItemVersion};
use keysherd_plane::credential_rotations::{RotationKey, RotationWork, RotationWrite};
use keysherd_plane::grants::{GrantedItem, KeyRef, PermitSlot, SignedPermit};
use keysherd_plane::keys::ManifestGetReply;
use keysherd_store::{Query, item_targets, item_versions, items, keys};

use super::{COMMAND, facts_of, subject, target};
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::grants::{entry_of, facts_of as known_of};
use crate::items::cache::{CachedItem, granted_version, key_of};
use crate::items::item_param;
use crate::items::sealed::salt_of;
use crate::items::state::no_such_version;
use crate::items::usable::check_enabled;
use crate::permits::PermitBatch;

/// Linked targets of one parent whose hosts change with it, at most.
const CHILDREN_MAX: usize = 16;
/// Users of a target that are looked at, at most: more than an account can have.
const USERS_MAX: usize = 10_000_000;

/// An attempt with all that it needs, before it is permitted.
pub(super) struct Prepared {
    access_id: AccessId,
    attempt: Attempt,
    /// The rotated secret, then its target, then that one's parent if it has one: each with the
    /// versions that are needed.
    items: Vec<(Item, Vec<ItemVersion>)>,
    write: Option<Place>,
    keys: Vec<RotationKey>,
}

/// Where new credentials will be stored.
struct Place {
    /// Whose version: place in [`Prepared::items`].
    of: usize,
    version: u32,
    is_stored: bool,
    store_again: bool,
    key: KeyRef,
    salt: [u8; 32],
}

/// Finds what an attempt needs.
///
/// # Errors
/// Why it cannot be done now, such as for a key that is disabled.
pub(super) fn prepare(
    q: &dyn Query,
    item: &Item,
    rotation: &CredentialRotation,
    attempt: Attempt,
    salt: [u8; 32],
) -> Result<Prepared, Fault> {
    let facts = facts_of(item)?;
    let subject = subject(q, item, facts)?;
    let target = target(q, item)?;
    let parent = match &target {
        Some(target) => super::target(q, target)?,
        None => None,
    };
    let children = match &target {
        Some(target) if facts.of_target => children(q, target)?,
        _ => Vec::new(),
    };
    let mut items = Vec::with_capacity(3);
    let alone = [Some(item.clone()), target, parent].into_iter().flatten();
    for one in alone.chain(children) {
        if one.id != item.id {
            check_enabled(&one)?;
        }
        let newest = item_versions::latest(q, one.id)?;
        items.push((one, newest.into_iter().collect::<Vec<_>>()));
    }
    let of = usize::from(subject.id != item.id);
    let add = |items: &mut Vec<(Item, Vec<ItemVersion>)>, version| {
        if let Some((_, versions)) = items.get_mut(of) {
            versions.push(version);
        }
    };
    let older = |number| -> Result<ItemVersion, Fault> {
        item_versions::get(q, subject.id, number)?.ok_or_else(|| no_such_version(&subject, number))
    };
    let write = match attempt.task {
        Task::Retire(version) => {
            add(&mut items, older(version)?);
            None
        }
        Task::Change(reason) => {
            let stored = item_versions::candidate(q, subject.id)?;
            let place = place(q, &subject, (rotation, stored.as_ref()), (of, salt))?;
            match (stored, reason) {
                (Some(candidate), _) => add(&mut items, candidate),
                (None, Reason::Rollback(number)) => add(&mut items, older(number)?),
                (None, _) => {}
            }
            Some(place)
        }
    };
    let sizes = items.iter().flat_map(|(_, versions)| versions).map(|v| v.ciphertext.len());
    if sizes.sum::<usize>() > READ_BYTES_MAX {
        return Err(Fault::bad_request("the settings are too large to be opened"));
    }
    let keys = keys_of(q, &items, write.as_ref())?;
    Ok(Prepared { access_id: rotation.access_id.clone(), attempt, items, write, keys })
}

/// The linked targets whose hosts take the credentials of `target`, which change there as well.
fn children(q: &dyn Query, target: &Item) -> Result<Vec<Item>, Fault> {
    let mut found = Vec::new();
    for id in item_targets::of_target(q, target.id, USERS_MAX)? {
        let user = items::by_id(q, target.account, id)?;
        found.extend(user.filter(|user| user.kind == ItemKind::Target));
        if found.len() > CHILDREN_MAX {
            return Err(Fault::conflict(format!(
                "more than {CHILDREN_MAX} linked targets use the credentials of {}, which cannot \
                 be changed on the hosts of all of them in one go",
                target.called()
            )));
        }
    }
    Ok(found)
}

/// The keys that wrap the versions, and that will wrap the new one.
fn keys_of(
    q: &dyn Query,
    items: &[(Item, Vec<ItemVersion>)],
    write: Option<&Place>,
) -> Result<Vec<RotationKey>, Fault> {
    let mut found: Vec<RotationKey> = Vec::new();
    let read = items.iter().flat_map(|(_, versions)| versions).map(key_of);
    for key in read.chain(write.map(|place| place.key)) {
        if found.iter().any(|known| known.key == key) {
            continue;
        }
        let manifest = keys::manifest(q, key.key_id, key.version)?;
        let missing = || Fault::internal(format_args!("key {} has no manifest", key.key_id));
        let manifest = ManifestGetReply { manifest: manifest.ok_or_else(missing)? };
        found.push(RotationKey { key, manifest });
    }
    Ok(found)
}

fn place(
    q: &dyn Query,
    subject: &Item,
    (rotation, stored): (&CredentialRotation, Option<&ItemVersion>),
    (of, salt): (usize, [u8; 32]),
) -> Result<Place, Fault> {
    let current = item_versions::latest(q, subject.id)?.ok_or_else(|| {
        Fault::conflict(format!("{} has no settings; set them first", subject.called()))
    })?;
    let newest = keys::latest(q, current.key_id)?
        .ok_or_else(|| Fault::internal(format_args!("key {} is not recorded", current.key_id)))?;
    if newest.state != ItemState::Enabled {
        return Err(Fault::forbidden(format!(
            "the key of {} is disabled; enable it with set-item-state",
            subject.called()
        )));
    }
    // Otherwise a permit to write would be one to read.
    if stored.is_some_and(|old| salt_of(&old.ciphertext, &key_of(old)) == Some(salt)) {
        return Err(Fault::bad_request("the salt is that of the stored credentials; draw another"));
    }
    let candidate = rotation.candidate.as_ref();
    let next = subject.last_version.checked_add(1).ok_or_else(|| {
        Fault::forbidden(format!("{} has no version numbers left", subject.called()))
    })?;
    let key = KeyRef {
        key_id: newest.key_id,
        version: newest.version,
        customer_fragment: newest.customer_fragment,
    };
    Ok(Place {
        of,
        version: candidate.map_or(next, |candidate| candidate.version),
        is_stored: stored.is_some(),
        store_again: candidate.is_some_and(|candidate| candidate.path != subject.path),
        key,
        salt,
    })
}

/// Permits the derivations of attempts, once the records that explain them are durable.
///
/// # Errors
/// Those of the store; [`Fault::internal`] when the random source fails.
pub(super) async fn hand_out(
    control: &Control,
    gateway: &GatewayIdentity,
    prepared: Vec<Prepared>,
    now: Timestamp,
) -> Result<(Vec<RotationWork>, Vec<SignedPermit>), Fault> {
    let mut permits = PermitBatch::default();
    let (mut work, mut records) = (Vec::with_capacity(prepared.len()), Vec::new());
    for one in prepared {
        let (permitted, draft) = permit(control, &mut permits, one, records.len(), now)?;
        work.extend(permitted);
        records.extend(draft.map(|draft| (draft, None)));
    }
    permits.explain(control, &mut records)?;
    let sequence = match records.is_empty() {
        true => Vec::new(),
        false => control.store.record(records).await?,
    };
    Ok((work, permits.sign(control, gateway, &sequence)?))
}

fn permit(
    control: &Control,
    permits: &mut PermitBatch,
    prepared: Prepared,
    record: usize,
    now: Timestamp,
) -> Result<(Option<RotationWork>, Option<Draft>), Fault> {
    let Prepared { access_id, attempt, items, write, keys } = prepared;
    let Some((item, _)) = items.first() else { return Ok((None, None)) };
    let (id, account) = (item.id, item.account);
    let subject = Subject {
        access_id_sha256: sha256(&[access_id.as_str().as_bytes()]),
        token_sha256: [0; 32],
    };
    let draft = draft(control, item, &access_id, (action::TAKE_ROTATION, attempt), now)?;
    let write = write.map(|place| place.permitted(permits, &items, subject, record)).transpose()?;
    let facts = items.iter().map(|(item, _)| known_of(item)).collect();
    let mut granted = Vec::with_capacity(items.len());
    for (item, versions) in items {
        let versions = versions.iter().map(|version| {
            let entry = entry_of(&item, version, Class::SecretItem, subject)?;
            let slot = permits.add(account, Op::Read, entry, Some(record))?;
            Ok(granted_version(version, Some(slot)))
        });
        let versions = versions.collect::<Result<_, Fault>>()?;
        let known = CachedItem::new(item, None).granted;
        granted.push(Arc::new(GrantedItem { versions, ..GrantedItem::clone(&known) }));
    }
    let work = RotationWork {
        account: account.0,
        access_id,
        item: id,
        attempt: attempt.number,
        task: attempt.task,
        items: granted,
        facts,
        write,
        keys,
    };
    Ok((Some(work), Some(draft)))
}

impl Place {
    fn permitted(
        self,
        permits: &mut PermitBatch,
        items: &[(Item, Vec<ItemVersion>)],
        subject: Subject,
        record: usize,
    ) -> Result<RotationWrite, Fault> {
        let Self { of, version, is_stored, store_again, key, salt } = self;
        let (item, _) = items.get(of).ok_or_else(|| Fault::internal("a rotation of no item"))?;
        let permit_slot = add_write(permits, item, (version, key, salt), subject, record)?;
        Ok(RotationWrite { place: of, version, is_stored, store_again, key, permit_slot })
    }
}

fn add_write(
    permits: &mut PermitBatch,
    item: &Item,
    (version, key, salt): (u32, KeyRef, [u8; 32]),
    subject: Subject,
    record: usize,
) -> Result<PermitSlot, Fault> {
    let derivation = PermitEntry {
        key_id: key.key_id,
        key_version: key.version,
        class: Class::SecretItem,
        item_id: item.uid,
        item_version: u64::from(version),
        salt,
        subject,
    };
    let account: AccountId = item.account;
    permits.add(account, Op::Write, derivation, Some(record))
}

/// The record of something that is done about a rotated secret without anybody asking for it now.
///
/// # Errors
/// [`Fault::internal`] when the random source fails.
pub(super) fn draft(
    control: &Control,
    item: &Item,
    access_id: &AccessId,
    (action, attempt): (&'static str, Attempt),
    now: Timestamp,
) -> Result<Draft, Fault> {
    let request = RequestId::random(&*control.rng)?;
    let mut draft = Draft::new(item.account, request, COMMAND.into(), action, now);
    draft.access_id = Some(access_id.clone());
    draft.item_type = item.kind.type_name().into();
    draft.params.push(item_param(&item.path));
    draft.params.push(Param::public("attempt", attempt.number.to_string()));
    let reason = match attempt.task {
        Task::Change(reason) => reason.name(),
        Task::Retire(_) => "retire",
    };
    draft.params.push(Param::public("reason", reason));
    Ok(draft)
}
