//! Handing out work: credentials that are to be removed now, with what removes them.
//!
//! What is handed out is taken for a while first, in one commit, so that no other gateway gets it
//! meanwhile; then the record of what it is removed with is made durable; then it leaves. A gateway
//! that ends in between costs nothing but that while.

use std::collections::HashMap;
use std::sync::Arc;

use keysherd_audit::{Draft, Param, action};
use keysherd_base::limits::READ_BYTES_MAX;
use keysherd_base::{AccountId, Fault, ItemId, RequestId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, Subject};
use keysherd_plane::credential_leases::{
    LEASE_BATCH_MAX, LEASE_PLACES_MAX, LeaseMeans, LeaseTake, LeaseTakeReply, LeaseWork,
};
use keysherd_plane::grants::GrantedItem;
use keysherd_plane::keys::ManifestGetReply;
use keysherd_store::credential_leases::{self as stored, StoredLease};
use keysherd_store::{Query, Reader, Tx, items, keys};

use super::report::given_up;
use super::turns::choose;
use super::{COMMAND, lease_param};
use crate::clusters::served_by;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::grants::{entry_of, facts_of, with_value};
use crate::items::cache::{CachedItem, granted_version};
use crate::items::item_param;
use crate::permits::PermitBatch;

/// When credentials of an account whose audit chain is damaged are looked at again, in seconds.
const POSTPONED_SECONDS: i64 = 900;

/// Credentials of one dynamic secret on one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    account: AccountId,
    item: ItemId,
    target: Option<ItemId>,
}

/// Hands out what is due, to be removed by `gateway`.
///
/// # Errors
/// [`Fault::bad_request`] for more than there may be; those of the store.
pub(crate) async fn take(
    control: &Control,
    gateway: &GatewayIdentity,
    message: LeaseTake,
) -> Result<LeaseTakeReply, Fault> {
    if !(1..=LEASE_BATCH_MAX).contains(&message.limit) {
        return Err(Fault::bad_request(format!(
            "{} temporary credentials at once; 1 to {LEASE_BATCH_MAX} are possible",
            message.limit
        )));
    }
    if message.room.len() > LEASE_PLACES_MAX {
        return Err(Fault::bad_request(format!(
            "{} targets and dynamic secrets of which something is said; at most {LEASE_PLACES_MAX}",
            message.room.len()
        )));
    }
    let now = control.now();
    let served = control.store.read(|reader| served_by(reader, gateway))?;
    let next = control.store.read(|reader| next_due(reader, &served))?;
    if next.is_none_or(|due| now < due) {
        let next_due_millis = next.map(|due| due.millis_since(now));
        return Ok(LeaseTakeReply { next_due_millis, ..LeaseTakeReply::default() });
    }
    // Looked for where nobody waits for it, and looked at again where nobody else writes.
    let (clusters, drawn) = (served.clone(), u64::from_be_bytes(control.rng.array()?));
    let choose = move |reader: &Reader| choose(reader, &clusters, (&message, drawn), now);
    let chosen = control.store.read_blocking(choose).await?;
    if chosen.is_empty() {
        // What is due, this gateway has no room for.
        return Ok(LeaseTakeReply { next_due_millis: Some(0), ..LeaseTakeReply::default() });
    }
    let (this, holder) = (control.clone(), *gateway);
    let job = move |tx: &Tx| take_chosen(tx, &this, &holder, chosen, now);
    let taken = control.store.commit(Vec::new(), job).await?;
    let opened = control.store.read_blocking(move |reader| open(reader, &taken)).await?;
    let mut reply = hand_out(control, gateway, opened, now).await?;
    let next = control.store.read(|reader| next_due(reader, &served))?;
    reply.next_due_millis = next.map(|due| due.millis_since(now).max(0));
    Ok(reply)
}

fn next_due(q: &dyn Query, clusters: &[i64]) -> Result<Option<Timestamp>, Fault> {
    let due: Vec<_> =
        clusters.iter().map(|cluster| stored::next_due(q, *cluster)).collect::<Result<_, _>>()?;
    Ok(due.into_iter().flatten().min())
}

/// Takes what was chosen, unless somebody else did since.
fn take_chosen(
    tx: &Tx,
    control: &Control,
    gateway: &GatewayIdentity,
    chosen: Vec<Uid>,
    now: Timestamp,
) -> Result<Vec<(StoredLease, u32)>, Fault> {
    let mut taken = Vec::with_capacity(chosen.len());
    for id in chosen {
        let found = stored::get(tx, id)?;
        let is_due = |found: &StoredLease| found.lease.due.is_some_and(|due| due <= now);
        let Some(mut found) = found.filter(is_due) else { continue };
        if !tx.can_record(found.account)? {
            // What cannot be recorded is not done; it must not be in the way of others.
            found.lease.due = Some(now.plus_seconds(POSTPONED_SECONDS));
            stored::update(tx, found.id, &found.lease)?;
            continue;
        }
        let attempt = found.lease.take(&gateway.spki_sha256, now);
        stored::update(tx, found.id, &found.lease)?;
        match attempt {
            Some(attempt) => taken.push((found, attempt)),
            None => given_up(tx, control, &found, now)?,
        }
    }
    Ok(taken)
}

/// What was taken, with what it is removed with.
struct Opened {
    work: Vec<LeaseWork>,
    means: Vec<Means>,
}

/// What credentials of one kind are removed with.
struct Means {
    kind: Kind,
    /// The first of the credentials.
    first: StoredLease,
    items: Vec<Arc<CachedItem>>,
    manifests: Vec<ManifestGetReply>,
    /// How many credentials there are.
    count: usize,
}

/// Finds what credentials are removed with. What has no settings any more, or would make the answer
/// too large, is left out: it is due again in a while.
fn open(reader: &Reader, taken: &[(StoredLease, u32)]) -> Result<Opened, Fault> {
    let mut opened = Opened { work: Vec::with_capacity(taken.len()), means: Vec::new() };
    let mut places: HashMap<Kind, Option<usize>> = HashMap::new();
    let mut bytes = 0;
    for (found, attempt) in taken {
        let kind = Kind { account: found.account, item: found.item, target: found.lease.target };
        let place = match places.get(&kind) {
            Some(place) => *place,
            None => {
                let items = means(reader, &kind)?;
                let manifests = manifests(reader, &items)?;
                let size: usize = items.iter().map(|item| size_of(item)).sum();
                let whole = !items.is_empty() && manifests.len() == items.len();
                let fits = whole && bytes + size <= READ_BYTES_MAX;
                let place = fits.then_some(opened.means.len());
                if fits {
                    bytes += size;
                    let first = found.clone();
                    opened.means.push(Means { kind, first, items, manifests, count: 0 });
                }
                places.insert(kind, place);
                place
            }
        };
        let Some(place) = place else {
            tracing::warn!(lease = %found.id, "a temporary credential cannot be removed now");
            continue;
        };
        if let Some(means) = opened.means.get_mut(place) {
            means.count += 1;
        }
        let (lease, handle) = (found.id, found.lease.handle.clone());
        opened.work.push(LeaseWork { lease, handle, attempt: *attempt, means: place });
    }
    Ok(opened)
}

fn size_of(item: &CachedItem) -> usize {
    item.current.as_ref().map_or(0, |version| version.ciphertext.len())
}

/// The dynamic secret, and the target that the credentials are on: states and rights do not matter
/// for removing what is there.
fn means(reader: &Reader, kind: &Kind) -> Result<Vec<Arc<CachedItem>>, Fault> {
    let mut found = Vec::new();
    for id in [Some(kind.item), kind.target].into_iter().flatten() {
        let Some(item) = items::by_id(reader, kind.account, id)? else { continue };
        let entry = with_value(reader, item)?;
        if entry.current.is_none() && id == kind.item {
            return Ok(Vec::new());
        }
        found.extend(Some(entry).filter(|entry| entry.current.is_some()));
    }
    Ok(found)
}

/// The keys that wrap the values of `items`, one each.
fn manifests(q: &dyn Query, items: &[Arc<CachedItem>]) -> Result<Vec<ManifestGetReply>, Fault> {
    let versions = items.iter().filter_map(|item| item.current.as_ref());
    let manifests = versions.map(|version| keys::manifest(q, version.key_id, version.key_version));
    let some = manifests.filter_map(Result::transpose);
    some.map(|manifest| Ok(ManifestGetReply { manifest: manifest? })).collect()
}

/// Permits the derivations, once the records that explain them are durable.
async fn hand_out(
    control: &Control,
    gateway: &GatewayIdentity,
    opened: Opened,
    now: Timestamp,
) -> Result<LeaseTakeReply, Fault> {
    let mut permits = PermitBatch::default();
    let (mut reply, mut records) = (LeaseTakeReply::default(), Vec::new());
    for Means { kind, first, items, manifests, count } in opened.means {
        let access_id = first.lease.access_id.clone();
        let subject = Subject {
            access_id_sha256: sha256(&[access_id.as_str().as_bytes()]),
            token_sha256: [0; 32],
        };
        let mut granted = Vec::with_capacity(items.len());
        for entry in &items {
            let versions = entry.current.iter().map(|version| {
                let derivation = entry_of(&entry.item, version, Class::SecretItem, subject)?;
                let slot = permits.add(kind.account, Op::Read, derivation, Some(records.len()))?;
                Ok(granted_version(version, Some(slot)))
            });
            let versions = versions.collect::<Result<_, Fault>>()?;
            granted.push(Arc::new(GrantedItem { versions, ..GrantedItem::clone(&entry.granted) }));
        }
        let mut draft = draft(control, &first, action::TAKE_CREDENTIALS, now)?;
        draft.params.extend(items.iter().take(1).map(|entry| item_param(&entry.item.path)));
        draft.params.push(Param::public("tmp_creds", count.to_string()));
        records.push((draft, None));
        let facts = items.iter().map(|entry| facts_of(&entry.item)).collect();
        let account = kind.account.0;
        reply.opened.push(LeaseMeans { account, access_id, items: granted, facts, manifests });
    }
    permits.explain(control, &mut records)?;
    let sequence = match records.is_empty() {
        true => Vec::new(),
        false => control.store.record(records).await?,
    };
    reply.permits = permits.sign(control, gateway, &sequence)?;
    reply.work = opened.work;
    Ok(reply)
}

/// The record of something that is done about a credential without anybody asking for it now.
pub(super) fn draft(
    control: &Control,
    stored: &StoredLease,
    action: &'static str,
    now: Timestamp,
) -> Result<Draft, Fault> {
    let request = RequestId::random(&*control.rng)?;
    let mut draft = Draft::new(stored.account, request, COMMAND.into(), action, now);
    draft.access_id = Some(stored.lease.access_id.clone());
    Ok(draft)
}

/// As [`draft`], which names the dynamic secret and the credential.
pub(super) fn draft_of_one(
    q: &dyn Query,
    control: &Control,
    stored: &StoredLease,
    action: &'static str,
    now: Timestamp,
) -> Result<Draft, Fault> {
    let mut draft = draft(control, stored, action, now)?;
    let item = items::by_id(q, stored.account, stored.item)?;
    draft.params.extend(item.map(|item| item_param(&item.path)));
    draft.params.push(lease_param(stored.id));
    draft.params.push(Param::public("user", stored.lease.handle.clone()));
    Ok(draft)
}
