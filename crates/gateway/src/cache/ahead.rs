//! Reads again what clients of this gateway read lately, before they ask for it: so that it is
//! there, with its keys, also when control or a manager is away a moment later.
//!
//! Only what an account's administrators want so, only with the token, from the address and for
//! the call that it was granted to before, and only for as long as the client itself asked for it
//! within the time that decisions are kept. Control decides, and records, each time; what it
//! refuses is not asked for again. Tokens are kept encrypted under a key of this process. They take
//! room that counts, and no account has more than its share of them and of reads ([`turns`]).

#[cfg(test)]
mod tests;
mod turns;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use keysherd_base::{FaultKind, Uid};
use keysherd_crypto::memory::Sealer;
use keysherd_plane::grants::{ItemRef, VersionWish};
use keysherd_plane::{Caller, Client};
use tokio::task::JoinSet;

pub(super) use self::turns::Turns;
use super::{Kept, ReadCache};
use crate::moment::Moment;
use crate::reader::Reader;

/// Time between two looks, for each so many entries.
const BEAT: Duration = Duration::from_secs(1);
const ENTRIES_PER_BEAT: usize = 10_000;

/// A call.
pub(crate) type Call<'a> = (&'a Caller, &'a [ItemRef], VersionWish);

/// What it takes to make a call again.
pub(crate) struct Again {
    token: Box<[u8]>,
    client: Client,
    command: Arc<str>,
    items: Box<[ItemRef]>,
    version: VersionWish,
    times: Mutex<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    /// When the client asked last.
    used: Moment,
    /// When it was made again last, as long as nothing came of that.
    tried: Option<Moment>,
}

impl Again {
    /// `None` for a call without a token.
    pub(super) fn new(
        sealer: &Sealer,
        (caller, items, version): Call<'_>,
        used: Moment,
    ) -> Option<Self> {
        Some(Self {
            token: sealer.seal(caller.token.as_deref()?.as_bytes()),
            client: caller.client.clone(),
            command: caller.command.clone(),
            items: items.into(),
            version,
            times: Mutex::new(Times { used, tried: None }),
        })
    }

    /// Bytes of it, roughly.
    pub(super) fn len(&self) -> usize {
        let name = |item: &ItemRef| match item {
            ItemRef::Path(path) => path.as_str().len(),
            ItemRef::Display(id) => id.len(),
            ItemRef::Id(_) | ItemRef::GatewayCluster(_) => 0,
        };
        let names: usize = self.items.iter().map(name).sum();
        let items = size_of_val::<[ItemRef]>(&self.items) + names;
        size_of::<Self>() + self.token.len() + self.client.kind.len() + items
    }

    /// The client asked for it.
    pub(super) fn used(&self, now: Moment) {
        self.times().used = now;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // Each change is one statement.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is to be made again.
pub(crate) struct Due {
    key: [u8; 32],
    pub(crate) caller: Caller,
    pub(crate) items: Vec<ItemRef>,
    pub(crate) version: VersionWish,
    /// When its client made it last.
    pub(crate) used: Moment,
}

impl ReadCache {
    /// What is to be read again now, each of whose account, one account after the other; nothing
    /// while control is silent.
    fn due(&self) -> Vec<(Uid, Waiting)> {
        let now = self.moment();
        // Looking through everything that is kept takes a while.
        if !self.caching.any_proactive() || !self.answers() || !self.coherence().is_alive(now) {
            return Vec::new();
        }
        let (mut counted, mut due) = (HashMap::new(), Vec::new());
        let mut places: HashMap<Uid, usize> = HashMap::new();
        for (key, kept) in self.entries.iter().filter(|(_, kept)| kept.again().is_some()) {
            let account = kept.account();
            *counted.entry(account).or_default() += 1;
            if self.is_due(&kept, now) {
                let place = places.entry(account).or_default();
                due.push((*place, (account, (key, kept))));
                *place += 1;
            }
        }
        self.turns.count_anew(counted);
        due.sort_by_key(|(place, _)| *place);
        due.into_iter().map(|(_, due)| due).collect()
    }

    /// Whether what this account read may be read again: it has its share already, or this very
    /// call has.
    pub(super) fn has_turn(&self, account: Uid, key: &[u8; 32]) -> bool {
        let known = self.entries.peek(key);
        known.is_some_and(|kept| kept.again().is_some()) || self.turns.take_in(account)
    }

    /// Whether reads are to be read ahead, and the owner's bundle ends what is kept before.
    pub(crate) fn reads_ahead_too_late(&self, owner_seconds: u32) -> bool {
        self.caching.is_ahead_too_late(owner_seconds)
    }

    fn is_due(&self, kept: &Kept, now: Moment) -> bool {
        let policy = self.caching.of(kept.account());
        let Some(again) = kept.again().filter(|_| policy.proactive) else { return false };
        let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
        let pause = minutes(policy.fetch_minutes);
        let is_old = |at: Moment| now.since(at).is_some_and(|age| age >= pause);
        let Times { used, tried } = *again.times();
        is_old(kept.asked)
            && tried.is_none_or(is_old)
            && now.since(used).is_some_and(|unused| unused < minutes(policy.ttl_minutes))
            && !self.is_over(kept, now)
    }

    fn call_of(&self, key: [u8; 32], kept: &Kept) -> Option<Due> {
        let again = kept.again()?;
        let token = self.sealer.open(&again.token)?;
        let now = self.moment();
        let caller = Caller {
            token: Some(std::str::from_utf8(token.expose()).ok()?.into()),
            client: again.client.clone(),
            command: again.command.clone(),
            request: Uid::random(&*self.place.rng).ok()?,
            received: now.wall,
        };
        // What fails now must not keep others from their turn.
        again.times().tried = Some(now);
        let (items, version) = (again.items.to_vec(), again.version);
        Some(Due { key, caller, items, version, used: again.times().used })
    }
}

/// Looks for what is due, until the reader is gone.
pub(crate) async fn read_ahead(reader: Weak<Reader>, cache: Weak<ReadCache>) {
    loop {
        let Some(held) = cache.upgrade() else { return };
        let beats = 1 + held.entries.len() / ENTRIES_PER_BEAT;
        drop(held);
        tokio::time::sleep(BEAT * u32::try_from(beats).unwrap_or(u32::MAX)).await;
        let (Some(reader), Some(cache)) = (reader.upgrade(), cache.upgrade()) else { return };
        read_all(&reader, &cache).await;
    }
}

/// Makes all calls that are due, a few at a time.
async fn read_all(reader: &Arc<Reader>, cache: &Arc<ReadCache>) {
    let due = cache.due();
    let begin = |(key, kept): Waiting| {
        let (due, reader, cache) = (cache.call_of(key, &kept)?, reader.clone(), cache.clone());
        Some(async move { read_one(&reader, &cache, due).await })
    };
    let may = |account| cache.turns.may_read(account, cache.moment());
    go_round(due, cache.workers, (may, begin)).await;
}

/// An entry whose call is due.
type Waiting = ([u8; 32], Arc<Kept>);

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// An answer.
    Answer,
    /// Nothing, for some reason that may be the account's own.
    Nothing,
    /// Control is not reached.
    Silence,
}

/// Does what is due, so many at a time, until control is not reached. An account of which something
/// failed is left out of the rest of this round, so that others have their turn.
async fn go_round<T, F: Future<Output = Came> + Send + 'static>(
    due: Vec<(Uid, T)>,
    workers: usize,
    (may, begin): (impl Fn(Uid) -> bool, impl Fn(T) -> Option<F>),
) {
    let (mut running, mut failed) = (JoinSet::new(), HashSet::new());
    let mut is_silent = false;
    for (account, one) in due {
        while running.len() >= workers.max(1)
            && let Some(done) = running.join_next().await
        {
            // A panic is logged by the runtime.
            match done {
                Ok((account, Came::Nothing)) => drop(failed.insert(account)),
                Ok((_, Came::Silence)) => is_silent = true,
                Ok((_, Came::Answer)) | Err(_) => {}
            }
        }
        if is_silent {
            break;
        }
        if !failed.contains(&account)
            && may(account)
            && let Some(call) = begin(one)
        {
            running.spawn(async move { (account, call.await) });
        }
    }
    // What was granted and recorded is kept, too.
    while running.join_next().await.is_some() {}
}

async fn read_one(reader: &Reader, cache: &ReadCache, due: Due) -> Came {
    let Err(fault) = reader.read_ahead(cache, &due).await else {
        cache.read_ahead.fetch_add(1, Ordering::Relaxed);
        return Came::Answer;
    };
    use FaultKind as K;
    if fault.is_not_reached()
        || matches!(fault.kind(), K::Unavailable | K::Timeout | K::RateLimited)
    {
        tracing::debug!(%fault, "what is due is not read ahead now");
        return if fault.is_not_reached() { Came::Silence } else { Came::Nothing };
    }
    // It is not for this caller any more, or not there: its client will ask if it wants to know.
    cache.entries.remove(&due.key);
    Came::Answer
}
