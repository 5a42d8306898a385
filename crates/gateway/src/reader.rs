//! Reading values: what was decided a moment ago, the warm path (keys in memory) and the cold one
//! (through the managers).

mod granted;

use std::sync::Arc;

use keysherd_api::{Ctx, Freshness, OpenedItem, OpenedValue, Recorded};
use keysherd_base::{ClockHandle, Fault, ItemPath, SecretBytes, Timestamp, Uid};
use keysherd_crypto::envelope::{Envelope, Header, Kek, PayloadKey};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_domain::cluster::is_config_path;
use keysherd_domain::item::NameTag;
use keysherd_plane::PlaneHandle;
use keysherd_plane::cache::Keep;
use keysherd_plane::grants::{
    Grant, Granted, GrantedItem, GrantedVersion, ItemRef, Keeping, KeyRef, PermitSlot,
    SignedPermit, VersionWish, Wish,
};
use quick_cache::sync::Cache;

use crate::batcher::{Batcher, Derived};
use crate::cache::ahead::{Call, Due};
use crate::cache::{Ground, Kept, ReadCache};
use crate::derive::DerivedKek;
use crate::key_cache::{Asked, KeyCache};
use crate::managers::Managers;
use crate::moment::Moment;
use crate::needs::wrap_of;
use crate::seen::Seen;
use crate::tenants::Tenants;

pub(crate) use granted::open_granted;

/// Names whose keys were in the cache not long ago.
const HINTS_MAX: usize = 200_000;

/// What the read path works with.
pub(crate) struct ReaderParts {
    /// Control.
    pub(crate) plane: PlaneHandle,
    /// Derives what somebody waits for.
    pub(crate) cold: Batcher,
    /// Derives what nobody waits for.
    pub(crate) ahead: Batcher,
    /// Opened keys.
    pub(crate) keys: Arc<KeyCache>,
    /// What may be answered without control.
    pub(crate) cache: Option<Arc<ReadCache>>,
    /// The managers, and the owner's bundle.
    pub(crate) managers: Arc<Managers>,
    /// Time.
    pub(crate) clock: ClockHandle,
    /// Whose tokens these are.
    pub(crate) tenants: Arc<Tenants>,
    /// Whether a value is refused whose path nobody attested.
    pub(crate) attested_only: bool,
}

/// The read path.
pub(crate) struct Reader {
    plane: PlaneHandle,
    cold: Batcher,
    ahead: Batcher,
    keys: Arc<KeyCache>,
    cache: Option<Arc<ReadCache>>,
    managers: Arc<Managers>,
    /// Until when the keys of a name are probably in the cache.
    hints: Cache<(Uid, ItemRef, VersionWish), Timestamp>,
    tenants: Arc<Tenants>,
    clock: ClockHandle,
    seen: Seen,
    /// Whether a value is refused whose path nobody attested.
    attested_only: bool,
}

/// What was granted and opened.
struct Read {
    account: Uid,
    items: Vec<OpenedItem>,
    /// Whether and how long it may be repeated.
    keep: Option<Keep>,
}

impl Reader {
    /// A reader over these parts.
    pub(crate) fn new(parts: ReaderParts) -> Self {
        let ReaderParts { plane, cold, ahead, keys, cache, .. } = parts;
        let ReaderParts { managers, clock, tenants, attested_only, .. } = parts;
        let (hints, seen) = (Cache::new(HINTS_MAX), Seen::new());
        Self {
            plane,
            cold,
            ahead,
            keys,
            cache,
            managers,
            hints,
            tenants,
            clock,
            seen,
            attested_only,
        }
    }

    /// What was seen of items.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Reads all items or fails.
    ///
    /// A hint only decides whether control is asked for a permit at once. When it was wrong, the
    /// keys are gone and control is asked a second time, which it records as a second access.
    pub(crate) async fn read(
        &self,
        ctx: &Ctx,
        items: Vec<ItemRef>,
        version: VersionWish,
        freshness: Freshness,
    ) -> Result<Vec<OpenedItem>, Fault> {
        let cache = self.keeping().filter(|_| freshness == Freshness::Coherent);
        let Some(cache) = cache else { return self.read_asked(ctx, items, version, None).await };
        let call = (ctx, items.as_slice(), version);
        if let Some(opened) = self.read_kept(cache, call, Ground::Coherent).await {
            return Ok(opened);
        }
        if cache.is_alone()
            && let Some(opened) = self.read_kept(cache, call, Ground::Offline).await
        {
            return Ok(opened);
        }
        let asked = Some(cache.moment());
        match self.read_asked(ctx, items.clone(), version, asked).await {
            Err(fault) if fault.is_not_reached() => {
                let offline = self.read_kept(cache, call, Ground::Offline).await;
                offline.ok_or(fault)
            }
            answered => answered,
        }
    }

    /// Where reads are kept, if those of anybody are.
    fn keeping(&self) -> Option<&Arc<ReadCache>> {
        self.cache.as_ref().filter(|cache| cache.answers())
    }

    /// Reads what control grants.
    async fn read_asked(
        &self,
        ctx: &Ctx,
        items: Vec<ItemRef>,
        version: VersionWish,
        asked: Option<Moment>,
    ) -> Result<Vec<OpenedItem>, Fault> {
        let now = self.clock.now();
        if self.probably_warm(ctx, &items, version, now) {
            let wish = Wish::Read { items: items.clone(), version };
            if let Some(mut read) = self.read_warm(ctx, wish).await? {
                self.check(read.account, &items, version, &mut read.items)?;
                return Ok(self.keep((ctx.caller(), &items, version), asked, read));
            }
        }
        let wish = Wish::Read { items: items.clone(), version };
        let mut read = self.read_cold(ctx, wish).await?;
        let account = read.account;
        self.check(account, &items, version, &mut read.items)?;
        let opened = self.keep((ctx.caller(), &items, version), asked, read);
        self.tenants.learn(ctx.caller(), account);
        let until = now.plus_seconds(self.keys.ttl_seconds().into());
        if now < until {
            for item in items {
                self.hints.insert((account, item, version), until);
            }
        }
        Ok(opened)
    }

    /// What answers the call without control, opened, and written down.
    async fn read_kept(
        &self,
        cache: &ReadCache,
        (ctx, items, version): (&Ctx, &[ItemRef], VersionWish),
        ground: Ground,
    ) -> Option<Vec<OpenedItem>> {
        let kept = cache.find(ctx.caller(), items, version, ground)?;
        let mut opened = self.open_kept(&kept, ground)?;
        // Somebody may have been served a newer value by number: then control has the say.
        self.check(kept.account(), items, version, &mut opened).ok()?;
        if !cache.note(ctx.caller(), &kept, ground).await {
            return None;
        }
        ctx.mark(Recorded::Success);
        Some(opened)
    }

    /// Opens it with the keys in memory; `None` when one of them is not there any more.
    fn open_kept(&self, kept: &Kept, ground: Ground) -> Option<Vec<OpenedItem>> {
        let open = |item: Arc<GrantedItem>| self.open_warm(item, ground).ok()?;
        kept.items().into_iter().map(open).collect()
    }

    /// Keeps what was read, where that is allowed.
    fn keep(&self, call: Call<'_>, asked: Option<Moment>, read: Read) -> Vec<OpenedItem> {
        match (&self.cache, asked) {
            (Some(cache), Some(asked)) => self.keep_in(cache, call, (asked, asked), read),
            _ => read.items,
        }
    }

    fn keep_in(
        &self,
        cache: &ReadCache,
        call: Call<'_>,
        times: (Moment, Moment),
        read: Read,
    ) -> Vec<OpenedItem> {
        let Read { account, items: opened, keep } = read;
        if let Some(keep) = keep {
            let kept = opened.iter().map(|one| Arc::clone(&one.item));
            let ttl_max = self.managers.bundle.load().bundle().cache_ttl_seconds_max;
            cache.keep(call, times, (account, kept.collect()), keep, ttl_max);
        }
        opened
    }

    /// Makes a call again that nobody waits for: what is granted is kept, with its keys.
    ///
    /// # Errors
    /// As for every read.
    pub(crate) async fn read_ahead(&self, cache: &ReadCache, due: &Due) -> Result<(), Fault> {
        let Due { caller, items, version, used, .. } = due;
        let (asked, keys_asked) = (cache.moment(), self.keys.asked());
        let wish = Wish::Read { items: items.clone(), version: *version };
        let derived = self.ahead.derive(caller.clone(), wish, None).await?;
        let mut read = self.open_all(derived, keys_asked)?;
        self.check(read.account, items, *version, &mut read.items)?;
        // What was opened to be checked ends here.
        drop(self.keep_in(cache, (caller, items, *version), (asked, *used), read));
        Ok(())
    }

    /// Checks what control cannot be believed: that the newest value is not an older one, and that
    /// the value belongs to the path that was asked for.
    fn check(
        &self,
        account: Uid,
        asked: &[ItemRef],
        version: VersionWish,
        opened: &mut [OpenedItem],
    ) -> Result<(), Fault> {
        if opened.len() != asked.len() {
            return Err(other_grant());
        }
        for (asked, one) in asked.iter().zip(opened) {
            for (granted, value) in one.item.versions.iter().zip(&mut one.values) {
                let envelope = Envelope::parse(&granted.ciphertext).map_err(Fault::internal)?;
                let Header { account: owner, item_id, item_version, .. } = envelope.header();
                let told = (account.0, one.item.uid.0, u64::from(granted.version));
                if (owner, item_id, item_version) != told {
                    return Err(cannot_open(&one.item, granted.version));
                }
                match version {
                    VersionWish::Latest => {
                        let commitment = envelope.payload_commitment();
                        self.seen.newest(one.item.uid, granted.version, commitment)?;
                    }
                    VersionWish::Exactly(number) => {
                        // Control answers for the very version that was asked for.
                        if granted.version != number {
                            return Err(other_grant());
                        }
                        self.seen.by_number(one.item.uid, number);
                    }
                    VersionWish::Last(_) => {}
                }
                let path = match asked {
                    ItemRef::Path(path) => path,
                    // Whoever asks for it knows what it has to be called.
                    ItemRef::GatewayCluster(_) => continue,
                    ItemRef::Id(_) | ItemRef::Display(_) => {
                        value.name_attested = None;
                        continue;
                    }
                };
                // It was compared with the path that control says the item has.
                let attested = value.name_attested == Some(true) && one.item.path == *path;
                value.name_attested = Some(attested);
                if self.attested_only && value.name_attested != Some(true) {
                    return Err(not_attested(path));
                }
            }
        }
        Ok(())
    }

    /// What attests that the item at `path` is called `new` from now on.
    pub(crate) async fn attest(
        &self,
        ctx: &Ctx,
        path: ItemPath,
        new: &ItemPath,
    ) -> Option<(u32, NameTag)> {
        // What is attested there is the configuration of a cluster.
        if is_config_path(new) {
            return None;
        }
        let wish = Wish::Attest { item: ItemRef::Path(path) };
        let derived = self.cold.derive(ctx.caller().clone(), wish, None).await.ok()?;
        let Granted::Read(items) = derived.granted.granted else { return None };
        let version = items.first()?.versions.first()?;
        let keks = derived.keks.ok()?;
        let (_, DerivedKek { kek, .. }) = keks.first()?;
        let envelope = Envelope::parse(&version.ciphertext).ok()?;
        let key = payload_key(&envelope, &version.key, kek)?;
        Some((version.version, NameTag(key.name_tag(new.as_str()))))
    }

    /// Whether the caller's account read all of these not long ago.
    fn probably_warm(
        &self,
        ctx: &Ctx,
        items: &[ItemRef],
        version: VersionWish,
        now: Timestamp,
    ) -> bool {
        let Some(account) = self.tenants.of(ctx.caller()) else { return false };
        items.iter().all(|item| {
            let name = (account, item.clone(), version);
            self.hints.get(&name).is_some_and(|until| now < until)
        })
    }

    async fn read_warm(&self, ctx: &Ctx, wish: Wish) -> Result<Option<Read>, Fault> {
        let wishes = vec![(ctx.caller().clone(), wish)];
        let keep = self.keeping().map_or(Keeping::No, |_| Keeping::Answered);
        let message = Grant { wishes, with_permit: false, keep };
        let reply = self.plane.ask(ctx.caller().clone(), message).await;
        let outcome = reply.and_then(|reply| {
            let first = reply.outcomes.into_iter().next();
            first.ok_or_else(|| Fault::internal("a grant without an outcome"))?
        });
        let granted = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        let account = granted.account;
        // Keys in memory are for the account that had them derived, whatever control says now.
        if self.tenants.of(ctx.caller()) != Some(account) {
            return Err(other_grant());
        }
        let Granted::Read(items) = granted.granted else { return Err(other_grant()) };
        let opened =
            items.into_iter().map(|item| self.open_warm(item, Ground::Coherent).transpose());
        let opened: Option<Result<Vec<_>, Fault>> = opened.collect();
        Ok(opened.transpose()?.map(|items| Read { account, items, keep: granted.keep }))
    }

    /// The item, opened with the keys in memory; `None` when one of them is not there.
    fn open_warm(
        &self,
        item: Arc<GrantedItem>,
        ground: Ground,
    ) -> Result<Option<OpenedItem>, Fault> {
        let open = |version: &GrantedVersion| {
            let (envelope, key) = self.cached(version, ground)?;
            Some(open_value(&item, version, &envelope, &key))
        };
        let values: Option<Result<Vec<_>, Fault>> = item.versions.iter().map(open).collect();
        Ok(values.transpose()?.map(|values| OpenedItem { item, values }))
    }

    fn cached<'a>(
        &self,
        version: &'a GrantedVersion,
        ground: Ground,
    ) -> Option<(Envelope<'a>, PayloadKey)> {
        let envelope = Envelope::parse(&version.ciphertext).ok()?;
        let (_, wrap) = wrap_of(&envelope, &version.key)?;
        let key = match ground {
            Ground::Coherent => self.keys.get(&wrap.identity()),
            Ground::Offline => self.keys.get_offline(&wrap.identity()),
        };
        Some((envelope, key?))
    }

    async fn read_cold(&self, ctx: &Ctx, wish: Wish) -> Result<Read, Fault> {
        let asked = self.keys.asked();
        let outcome = self.cold.derive(ctx.caller().clone(), wish, None).await;
        let derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        self.open_all(derived, asked)
    }

    /// Opens what was derived by somebody who began at `asked`.
    fn open_all(&self, derived: Derived, asked: Asked) -> Result<Read, Fault> {
        let keks = (derived.keks?, derived.permits);
        let account = derived.granted.account;
        let Granted::Read(items) = derived.granted.granted else { return Err(other_grant()) };
        let opened: Result<Vec<_>, Fault> = items
            .into_iter()
            .map(|item| {
                let values = item
                    .versions
                    .iter()
                    .map(|version| self.open_derived(&item, version, &keks, asked))
                    .collect::<Result<_, Fault>>()?;
                Ok(OpenedItem { item, values })
            })
            .collect();
        Ok(Read { account, items: opened?, keep: derived.granted.keep })
    }

    fn open_derived(
        &self,
        item: &GrantedItem,
        version: &GrantedVersion,
        (keks, permits): &(Vec<(PermitSlot, DerivedKek)>, Arc<[SignedPermit]>),
        asked: Asked,
    ) -> Result<OpenedValue, Fault> {
        let unreadable = || cannot_open(item, version.version);
        let envelope = Envelope::parse(&version.ciphertext).map_err(|_| unreadable())?;
        let slot = version.permit_slot.ok_or_else(unreadable)?;
        let found = keks.iter().find(|(at, _)| *at == slot);
        let (_, DerivedKek { kek, .. }) = found.ok_or_else(unreadable)?;
        let (index, wrap) = wrap_of(&envelope, &version.key).ok_or_else(unreadable)?;
        let dek = envelope.unwrap_dek(index, kek).map_err(|_| unreadable())?;
        let key = dek.payload_key(&envelope);
        let opened = open_value(item, version, &envelope, &key)?;
        self.keys.put(wrap.identity(), &key, asked);
        self.cache.iter().for_each(|cache| cache.permitted(wrap.identity(), permits, slot));
        Ok(opened)
    }
}

/// The payload key of `envelope`, unwrapped with `kek`; `None` when it is not the right one.
pub(crate) fn payload_key(envelope: &Envelope<'_>, key: &KeyRef, kek: &Kek) -> Option<PayloadKey> {
    let (index, _) = wrap_of(envelope, key)?;
    Some(envelope.unwrap_dek(index, kek).ok()?.payload_key(envelope))
}

fn open_value(
    item: &GrantedItem,
    version: &GrantedVersion,
    envelope: &Envelope<'_>,
    key: &PayloadKey,
) -> Result<OpenedValue, Fault> {
    let value: SecretBytes = envelope.open(key).map_err(|_| cannot_open(item, version.version))?;
    let tag = key.name_tag(item.path.as_str());
    let attested = version.name_tag.is_some_and(|stored| constant_time_eq(&stored.0, &tag));
    Ok(OpenedValue { version: version.version, value, name_attested: Some(attested) })
}

/// Code of the fault that says: nobody attested that this value belongs to this path.
const NOT_ATTESTED: &str = "NameNotAttested";

fn not_attested(path: &ItemPath) -> Fault {
    Fault::forbidden(format!(
        "no gateway attested that the value at {path} belongs there, which this gateway is set to \
         require; store the value again, or rename the item"
    ))
    .with_code(NOT_ATTESTED)
}

/// Decryption has one failure, whatever the reason.
fn cannot_open(item: &GrantedItem, version: u32) -> Fault {
    Fault::internal(format!("item {} version {version}: decryption failed", item.uid))
}

fn other_grant() -> Fault {
    Fault::internal("control granted something else than was asked")
}
