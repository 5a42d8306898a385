//! Whose turn it is: which of the credentials that are due are handed out.
//!
//! Accounts take turns, and in each account its targets do: a backlog keeps nobody waiting but
//! those behind it. Usually all that is due fits into one look. When it does not, secrets are
//! looked at instead of credentials, from another one on each time, so that however much is due of
//! some, the others are seen.
//!
//! Who comes first is drawn: a gateway whose places are all taken asks for one credential at a
//! time, and whoever was due first would get each of them, however slow their targets are.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use keysherd_base::{AccountId, Fault, ItemId, Timestamp, Uid};
use keysherd_plane::credential_leases::LeaseTake;
use keysherd_store::Query;
use keysherd_store::credential_leases::{self as stored, SecretDue, StoredLease};

/// Rows that are looked at for each credential that is asked for.
const LOOKED_AT: usize = 16;
/// One place of so many is for the credentials of one target, at most, where the gateway does not
/// say how many.
const SHARE: usize = 4;
/// Dynamic secrets that are looked at when more is due than one look shows.
const SECRETS_LOOKED_AT: usize = 512;

/// What a gateway has room for.
struct Room {
    each: usize,
    left: HashMap<ItemId, usize>,
}

impl Room {
    fn of(take: &LeaseTake) -> Self {
        let each = match take.each {
            0 => take.limit.div_ceil(SHARE),
            each => each,
        };
        Self { each, left: take.room.iter().map(|room| (room.place, room.left)).collect() }
    }

    /// How many more of a secret, on its target, there is room for.
    fn left(&self, item: ItemId, target: Option<ItemId>) -> usize {
        let left = |place: ItemId| self.left.get(&place).copied().unwrap_or(self.each);
        left(item).min(target.map_or(usize::MAX, left))
    }

    /// Takes a place on a target, if there is one.
    fn take(&mut self, item: ItemId, target: Option<ItemId>) -> bool {
        let has = self.left(item, target) > 0;
        if has {
            for place in [Some(item), target].into_iter().flatten() {
                *self.left.entry(place).or_insert(self.each) -= 1;
            }
        }
        has
    }
}

/// What is handed out now of what is due, at most what is asked for. `drawn` is a number that
/// nobody foresees.
///
/// # Errors
/// Those of the store.
pub(super) fn choose(
    q: &dyn Query,
    clusters: &[i64],
    (take, drawn): (&LeaseTake, u64),
    now: Timestamp,
) -> Result<Vec<Uid>, Fault> {
    let mut room = Room::of(take);
    let mut found = Vec::new();
    for cluster in clusters {
        let rows = take.limit * LOOKED_AT;
        let due = stored::due(q, *cluster, now, rows)?;
        if due.len() < rows {
            found.extend(due);
        } else {
            found.extend(seen_from(q, *cluster, (take, drawn), &room, now)?);
        }
    }
    let kind = |one: &StoredLease| (one.account, one.lease.target.unwrap_or(one.item));
    let mut chosen = in_turns(found, drawn, kind);
    chosen.retain(|one| room.take(one.item, one.lease.target));
    Ok(chosen.into_iter().take(take.limit).map(|one| one.id).collect())
}

/// Of some secrets that something is due of, and that there is room for, what is due longest.
fn seen_from(
    q: &dyn Query,
    cluster: i64,
    (take, drawn): (&LeaseTake, u64),
    room: &Room,
    now: Timestamp,
) -> Result<Vec<StoredLease>, Fault> {
    let last = stored::last_secret(q, cluster)?.unwrap_or(ItemId(0));
    let numbers = u64::try_from(last.0).unwrap_or_default().max(1);
    let start = ItemId(i64::try_from(drawn % numbers).unwrap_or_default());
    let mut secrets = stored::secrets_due(q, (cluster, start), now, SECRETS_LOOKED_AT)?;
    if secrets.len() < SECRETS_LOOKED_AT {
        let before = stored::secrets_due(q, (cluster, ItemId(0)), now, SECRETS_LOOKED_AT)?;
        secrets.extend(before.into_iter().filter(|secret| secret.item <= start));
    }
    secrets.retain(|secret| room.left(secret.item, secret.target) > 0);
    secrets.sort_by_key(|secret| secret.due);
    let kind = |one: &SecretDue| (one.account, one.target.unwrap_or(one.item));
    let mut found = Vec::new();
    for secret in in_turns(secrets, drawn, kind).into_iter().take(take.limit) {
        let most = room.left(secret.item, secret.target).min(take.limit);
        found.extend(stored::due_of(q, (cluster, secret.item), now, most)?);
    }
    Ok(found)
}

/// The same in another order: accounts take turns, in each account its targets do, and what is of
/// one target stays in its order. Which account and which target begin follows from what was
/// `drawn`.
fn in_turns<T>(all: Vec<T>, drawn: u64, kind: impl Fn(&T) -> (AccountId, ItemId)) -> Vec<T> {
    by_turn(by_turn(all, drawn, &kind), drawn, |one| kind(one).0)
}

/// The first of every kind, then the second of every kind, and so on; which kind begins follows
/// from what was `drawn`.
pub(crate) fn by_turn<T, K: Eq + Hash>(all: Vec<T>, drawn: u64, kind: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen: HashMap<K, usize> = HashMap::new();
    let ranked = all.into_iter().map(|one| {
        let kind = kind(&one);
        let mut place = DefaultHasher::new();
        (drawn, &kind).hash(&mut place);
        let rank = seen.entry(kind).or_default();
        *rank += 1;
        ((*rank, place.finish()), one)
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(place, _)| *place);
    ranked.into_iter().map(|(_, one)| one).collect()
}
