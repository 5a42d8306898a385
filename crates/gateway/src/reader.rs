//! Reading values: the warm path (keys in the cache) and the cold one (through the managers).

use std::sync::Arc;

use keysherd_api::{Ctx, OpenedItem, OpenedValue, Recorded};
use keysherd_base::{ClockHandle, Fault, ItemPath, SecretBytes, Timestamp, Uid};
use keysherd_crypto::envelope::{Envelope, Header, Kek, PayloadKey};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_domain::item::NameTag;
use keysherd_plane::PlaneHandle;
use keysherd_plane::grants::{
    Grant, Granted, GrantedItem, GrantedVersion, ItemRef, KeyRef, PermitSlot, VersionWish, Wish,
};
use quick_cache::sync::Cache;

use crate::batcher::Batcher;
use crate::derive::DerivedKek;
use crate::key_cache::KeyCache;
use crate::needs::wrap_of;
use crate::seen::Seen;
use crate::tenants::Tenants;

/// Names whose keys were in the cache not long ago.
const HINTS_MAX: usize = 200_000;
/// Seconds an opened key may be kept, whatever the cache is set to (`fragments.md` 5.13).
pub(crate) const KEY_TTL_SECONDS_MAX: i64 = 60;

/// The read path.
pub(crate) struct Reader {
    plane: PlaneHandle,
    cold: Batcher,
    keys: Arc<KeyCache>,
    /// Until when the keys of a name are probably in the cache.
    hints: Cache<(Uid, ItemRef, VersionWish), Timestamp>,
    tenants: Arc<Tenants>,
    clock: ClockHandle,
    seen: Seen,
    /// Whether a value is refused whose path nobody attested.
    attested_only: bool,
}

impl Reader {
    /// A reader that derives through `cold`.
    pub(crate) fn new(
        plane: PlaneHandle,
        cold: Batcher,
        keys: Arc<KeyCache>,
        clock: ClockHandle,
        tenants: Arc<Tenants>,
        attested_only: bool,
    ) -> Self {
        let (hints, seen) = (Cache::new(HINTS_MAX), Seen::new());
        Self { plane, cold, keys, hints, tenants, clock, seen, attested_only }
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
    ) -> Result<Vec<OpenedItem>, Fault> {
        let now = self.clock.now();
        if self.probably_warm(ctx, &items, version, now) {
            let wish = Wish::Read { items: items.clone(), version };
            if let Some((account, mut opened)) = self.read_warm(ctx, wish).await? {
                self.check(account, &items, version, &mut opened)?;
                return Ok(opened);
            }
        }
        let wish = Wish::Read { items: items.clone(), version };
        let (account, mut opened) = self.read_cold(ctx, wish).await?;
        self.check(account, &items, version, &mut opened)?;
        self.tenants.learn(ctx.caller(), account);
        let until = now.plus_seconds(self.keys.ttl_seconds().min(KEY_TTL_SECONDS_MAX));
        if now < until {
            for item in items {
                self.hints.insert((account, item, version), until);
            }
        }
        Ok(opened)
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
                let ItemRef::Path(path) = asked else {
                    value.name_attested = None;
                    continue;
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

    async fn read_warm(
        &self,
        ctx: &Ctx,
        wish: Wish,
    ) -> Result<Option<(Uid, Vec<OpenedItem>)>, Fault> {
        let message = Grant { wishes: vec![(ctx.caller().clone(), wish)], with_permit: false };
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
        let opened: Option<Vec<_>> = items
            .into_iter()
            .map(|item| {
                let open = |version: &GrantedVersion| {
                    let (envelope, key) = self.cached(version)?;
                    Some(open_value(&item, version, &envelope, &key))
                };
                let values: Option<Result<Vec<_>, Fault>> =
                    item.versions.iter().map(open).collect();
                Ok(values.transpose()?.map(|values| OpenedItem { item, values }))
            })
            .collect::<Result<_, Fault>>()?;
        Ok(opened.map(|opened| (account, opened)))
    }

    fn cached<'a>(&self, version: &'a GrantedVersion) -> Option<(Envelope<'a>, PayloadKey)> {
        let envelope = Envelope::parse(&version.ciphertext).ok()?;
        let (_, wrap) = wrap_of(&envelope, &version.key)?;
        let key = self.keys.get(&wrap.identity())?;
        Some((envelope, key))
    }

    async fn read_cold(&self, ctx: &Ctx, wish: Wish) -> Result<(Uid, Vec<OpenedItem>), Fault> {
        let outcome = self.cold.derive(ctx.caller().clone(), wish, None).await;
        let derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        let keks = derived.keks?;
        let account = derived.granted.account;
        let Granted::Read(items) = derived.granted.granted else { return Err(other_grant()) };
        let opened: Result<Vec<_>, Fault> = items
            .into_iter()
            .map(|item| {
                let values = item
                    .versions
                    .iter()
                    .map(|version| self.open_derived(&item, version, &keks))
                    .collect::<Result<_, Fault>>()?;
                Ok(OpenedItem { item, values })
            })
            .collect();
        Ok((account, opened?))
    }

    fn open_derived(
        &self,
        item: &GrantedItem,
        version: &GrantedVersion,
        keks: &[(PermitSlot, DerivedKek)],
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
        self.keys.put(wrap.identity(), &key, KEY_TTL_SECONDS_MAX);
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
