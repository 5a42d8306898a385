//! What may be read after a start while control is not reached: from a copy that this gateway left
//! on its disk when it was still in touch.
//!
//! There is one only where the operator has given a key for it, which is kept elsewhere. It holds
//! decisions that an offline policy allows to repeat, with their ciphertext, and what it takes to
//! open that:
//!
//! - opened keys of what is bound to a customer fragment, sealed under that fragment besides
//!   ([`keys`]), so that neither the file nor the operator's key opens anything without it. They
//!   are as old as they were, so the owner's `cache_ttl_seconds_max` ends them, and managers that
//!   are reached are asked first whether the owner stopped their protection keys;
//! - for all else no key: managers are asked anew ([`opening`]), with the permits that control gave
//!   for these very reads. They are good for a minute, so a gateway that starts later than that
//!   after control was lost can open nothing of it.
//!
//! All bounds of reads without control hold for it, counted on from the process that made it: the
//! policy's since control was heard, the token's, the owner's. As soon as anything has ended, it is
//! gone; as soon as control is heard, nothing of it is used any more. Time is told by the clock and
//! by how long the machine has been running, of which the one counts that says more. Whoever sets
//! back the clock and starts the machine anew, or puts back an older copy with its number, gains
//! the time in between; what permits and managers say holds all the same.

mod boot;
mod copying;
mod file;
mod keys;
mod opening;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use keysherd_base::{AccountId, RngHandle, Secret, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::vault::VaultKey;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::grants::{GrantedItem, PermitSlot, SignedPermit};
use quick_cache::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::file::{CopiedManifest, CopiedRead, CopyFile, Known, Read, Record};
use self::opening::Sealed;
use super::coherence::Tied;
use super::offline::OfflinePolicies;
use super::packed::Packed;
use super::{GONE_AFTER, Kept, More, ReadCache};
use crate::derive::Derivations;
use crate::key_cache::{Asked, KeyCache};
use crate::moment::Moment;

/// The pause before a copy: changes often come together.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause while there is none: nothing was read yet that may be in one.
const NONE_PAUSE: Duration = Duration::from_secs(5);
/// A copy may take this part of one core's time.
const SHARE: u32 = 20;
/// Permits known at most. One is some hundred bytes, and batches share theirs.
const PERMITS_MAX: usize = 100_000;
/// Time between two looks at whether control is reached, and at the journal of an earlier process.
const BEAT: Duration = Duration::from_millis(100);
/// For how long a process that is ending may still use the journal.
const JOURNAL_WAIT: Duration = Duration::from_secs(10);

/// What a copy on disk of what may be read without control is sealed under.
pub struct CopyKey {
    /// The operator's key.
    pub key: Secret<[u8; 32]>,
    /// The name of the gateway's cluster, with the access id that it signs in with: another one's
    /// copy is refused. Empty without a cluster.
    pub cluster: String,
}

impl CopyKey {
    /// The operator's key, for a gateway in no cluster.
    pub fn alone(key: Secret<[u8; 32]>) -> Self {
        Self { key, cluster: String::new() }
    }
}

/// The copy, and what came from it.
pub(super) struct Cold {
    file: CopyFile,
    restored: ArcSwapOption<Restored>,
    /// When this process began.
    begun: Moment,
    /// Whether control was heard since.
    heard: AtomicBool,
    /// Another copy is wanted soon.
    wanted: Arc<Notify>,
    /// What control permitted lately, by the identity of the wrap that it opens.
    permits: Cache<[u8; 32], Permitted>,
    /// Whether it was said that opened keys are on the disk.
    told: AtomicBool,
}

/// Where a derivation is permitted.
#[derive(Clone)]
struct Permitted {
    permit: SignedPermit,
    entry: u16,
    at: Moment,
}

/// What holds for all reads that came from a copy.
pub(super) struct Restored {
    /// When control was heard last.
    heard: Moment,
    policies: OfflinePolicies,
    /// Until control is heard.
    alone: Arc<AtomicBool>,
}

impl Restored {
    /// Whether a policy of then allows this now.
    pub(super) fn allows(&self, kept: &Kept, now: Moment) -> bool {
        let silent = now.since(self.heard);
        silent.is_some_and(|silent| kept.is_allowed(&self.policies, silent))
    }
}

/// Removes what a gateway that had a key left in `home`.
pub(super) fn remove_left(home: &Path) {
    file::remove_left(home);
}

impl Cold {
    /// The copy in `home` of the gateway with this public key.
    pub(super) fn new(
        home: &Path,
        CopyKey { key, cluster }: &CopyKey,
        gateway: &[u8; 32],
        (rng, begun): (RngHandle, Moment),
    ) -> Self {
        let mut whose = [0; 64];
        let parts = [*gateway, sha256(&[cluster.as_bytes()])].concat();
        whose.copy_from_slice(&parts);
        Self {
            file: CopyFile::new(home, VaultKey::new(key), whose, rng),
            restored: ArcSwapOption::empty(),
            begun,
            heard: AtomicBool::new(false),
            wanted: Arc::default(),
            permits: Cache::new(PERMITS_MAX),
            told: AtomicBool::new(false),
        }
    }
}

impl ReadCache {
    /// Takes in what an earlier process left, if that is of any use. `asked` is now, for
    /// keys; nothing is used for longer than `owner_seconds`, as the owner's bundle says now.
    fn restore(&self, (asked, owner_seconds): (Asked, u32)) -> Option<Sealed> {
        let (cold, now) = (self.cold.as_ref()?, self.moment());
        let Read { records, bound } = match cold.file.read(now.wall) {
            Ok(read) => read?,
            Err(error) => {
                tracing::error!(%error, "the copy of reads on disk is refused; nothing is kept");
                return None;
            }
        };
        let mut records = records.into_iter();
        let Some(Record::Known(known)) = records.next() else { return None };
        let written = age_of(&known, now)?;
        let ago = |millis: u64| now.before(written.checked_add(Duration::from_millis(millis))?);
        let policies = known.policies.iter().cloned();
        let alone = Arc::new(AtomicBool::new(true));
        let restored = Arc::new(Restored {
            heard: ago(known.silent_millis)?,
            policies: OfflinePolicies::of(policies.map(|(at, id, it)| ((at, id), it)).collect()),
            alone: alone.clone(),
        });
        let mut sealed = Sealed::of(bound, asked.before(written)?);
        for record in records {
            match record {
                Record::Known(_) => return None,
                Record::Permit(permit) => sealed.permits.push(permit),
                Record::Manifest(CopiedManifest { account, key, version, signed }) => {
                    let account = AccountId(account);
                    sealed.manifests.push((KeyVersion { account, id: key, version }, signed));
                }
                Record::Keys(keys) => sealed.keys.push(keys),
                Record::Read(mut read) => {
                    read.good_millis = read.good_millis.min(u64::from(owner_seconds) * 1_000);
                    let asked = ago(read.age_millis);
                    sealed.reads.extend(asked.and_then(|at| self.take_in(read, at, &restored)));
                }
            }
        }
        let count = sealed.reads.len();
        tracing::info!(count, "reads were found on disk, for as long as control is not reached");
        if count == 0 {
            return None;
        }
        cold.restored.store(Some(restored));
        self.caching.restored(true);
        if cold.heard.load(Ordering::Acquire) {
            self.drop_restored(cold);
            return None;
        }
        Some(sealed)
    }

    /// Keeps a read of a copy, unless it is over; what has to be opened for it.
    fn take_in(
        &self,
        read: CopiedRead,
        asked: Moment,
        restored: &Arc<Restored>,
    ) -> Option<(Uid, Vec<Arc<GrantedItem>>)> {
        let CopiedRead { call, account, access_id, items, good_millis, receipt, .. } = read;
        let kept = Kept {
            method: self.shared((account, access_id)),
            packed: Packed::new(&items, &receipt)?,
            tied: Tied::to(restored.alone.clone()),
            asked,
            good_millis,
            more: Some(Box::new(More::Restored(restored.clone()))),
        };
        let now = self.moment();
        if self.is_over(&kept, now) || !restored.allows(&kept, now) {
            return None;
        }
        self.entries.insert(call, Arc::new(kept));
        Some((account, items))
    }

    /// Whether there is anything to answer with that an earlier process left.
    fn is_restored(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.restored.load().is_some())
    }

    /// Whether control had time to be heard since the start, and was not.
    pub(super) fn is_alone_since_start(&self) -> bool {
        let begun = self.cold.as_ref().map(|cold| cold.begun);
        let age = begun.and_then(|begun| self.moment().since(begun));
        self.is_restored() && age.is_some_and(|age| age >= GONE_AFTER)
    }

    /// Control is heard: it has the say, and what was left is of no use any more.
    pub(super) fn control_is_back(&self) {
        if let Some(cold) = &self.cold
            && !cold.heard.swap(true, Ordering::AcqRel)
        {
            self.drop_restored(cold);
        }
    }

    fn drop_restored(&self, cold: &Cold) {
        if let Some(restored) = cold.restored.swap(None) {
            restored.alone.store(false, Ordering::Release);
            self.caching.restored(false);
            self.entries.retain(|_, kept| kept.restored().is_none());
        }
        self.forget_copy();
    }

    /// Something has ended that may be in the copy: it is gone when this returns.
    pub(super) fn forget_copy(&self) {
        if let Some(cold) = &self.cold {
            cold.file.forget();
            cold.wanted.notify_one();
        }
    }

    /// The same, for one that this process made: what is set in another way since then. What an
    /// earlier process made is from before what is set at a start.
    pub(super) fn forget_own_copy(&self) {
        if let Some(cold) = &self.cold {
            cold.file.forget_own();
            cold.wanted.notify_one();
        }
    }

    /// Control is lost: what was read since the last copy is to be in one.
    pub(super) fn want_copy(&self) {
        if let Some(cold) = &self.cold {
            cold.wanted.notify_one();
        }
    }

    /// Control permitted to derive what opens the wrap with this identity.
    pub(crate) fn permitted(&self, wrap: [u8; 32], permits: &[SignedPermit], slot: PermitSlot) {
        let Some(cold) = &self.cold else { return };
        let Some(permit) = permits.get(usize::from(slot.permit)) else { return };
        let (permit, entry, at) = (permit.clone(), slot.entry, self.moment());
        cold.permits.insert(wrap, Permitted { permit, entry, at });
    }
}

/// How long ago a copy was written, by the clock that says more.
fn age_of(known: &Known, now: Moment) -> Option<Duration> {
    let by_clock = u64::try_from(now.wall.millis_since(known.written)).ok()?;
    let by_machine = boot::between(known.boot.as_ref(), boot::now().as_ref());
    Some(Duration::from_millis(by_machine.map_or(by_clock, |age| age.max(by_clock))))
}

/// Takes in what an earlier process left, and makes copies from time to time, and soon after one
/// was not true any more, until the cache is gone.
pub(crate) async fn keep_copy(
    cache: Weak<ReadCache>,
    keys: Weak<KeyCache>,
    derivations: Weak<Derivations>,
) {
    let Some(held) = cache.upgrade() else { return };
    let Some(wanted) = held.cold.as_ref().map(|cold| cold.wanted.clone()) else { return };
    let asked = keys.upgrade().map(|keys| (keys.asked(), keys.offline_seconds()));
    let Some(asked) = asked else { return };
    let restored = tokio::task::spawn_blocking(move || held.restore(asked)).await;
    if let Ok(Some(sealed)) = restored {
        open_restored(&sealed, (&cache, &keys, &derivations)).await;
    }
    let (mut rest, mut is_there) = (PAUSE, false);
    loop {
        let Some(minutes) = cache.upgrade().map(|held| held.caching.backup_minutes()) else {
            return;
        };
        let minutes = Duration::from_secs(u64::from(minutes) * 60);
        let interval = if is_there { minutes } else { NONE_PAUSE };
        let _sooner = tokio::time::timeout(interval, wanted.notified()).await;
        tokio::time::sleep(rest).await;
        let (Some(held), Some(parts)) = (cache.upgrade(), opened_with(&keys, &derivations)) else {
            return;
        };
        let begun = Instant::now();
        let copied = tokio::task::spawn_blocking(move || {
            let copied = held.copy(&parts);
            if !copied.as_ref().is_ok_and(|made| *made) {
                held.cold.iter().for_each(|cold| cold.file.give_up());
            }
            copied
        });
        let copied = copied.await;
        rest = PAUSE.max(begun.elapsed() * SHARE);
        is_there = !matches!(copied, Ok(Ok(false)));
        if let Ok(Err(error)) = copied {
            tracing::error!(%error, "no newer copy of reads on disk; trying again");
        }
    }
}

/// Opens the journal and the keys for what an earlier process left, once it is known that control
/// is not reached.
async fn open_restored(
    sealed: &Sealed,
    (cache, keys, derivations): (&Weak<ReadCache>, &Weak<KeyCache>, &Weak<Derivations>),
) {
    let begun = Instant::now();
    loop {
        let Some(held) = cache.upgrade() else { return };
        if !held.is_restored() {
            return;
        }
        let is_open = held.journal.get().is_some();
        if !is_open && begun.elapsed() < JOURNAL_WAIT {
            held.open_journal();
        } else if held.unreached.load(Ordering::Relaxed) || held.deaf.load(Ordering::Relaxed) {
            break;
        }
        drop(held);
        tokio::time::sleep(BEAT).await;
    }
    let Some(parts) = opened_with(keys, derivations) else { return };
    let (held, derived, missing) = sealed.open(&parts).await;
    tracing::info!(
        held,
        derived,
        missing,
        "keys of the copy of reads: in it, by managers, not had"
    );
}

/// What holds opened keys, and what has them derived.
type OpenedWith = (Arc<KeyCache>, Arc<Derivations>);

fn opened_with(keys: &Weak<KeyCache>, derivations: &Weak<Derivations>) -> Option<OpenedWith> {
    keys.upgrade().zip(derivations.upgrade())
}
