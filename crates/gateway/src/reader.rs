//! Reading values: the warm path (keys in the cache) and the cold one (through the managers).

use std::sync::Arc;

use keysherd_api::{Ctx, OpenedItem, OpenedValue, Recorded};
use keysherd_base::{ClockHandle, Fault, SecretBytes, Timestamp, Uid};
use keysherd_crypto::envelope::{Envelope, Kek, PayloadKey};
use keysherd_plane::PlaneHandle;
use keysherd_plane::grants::{
    Grant, Granted, GrantedItem, GrantedVersion, ItemRef, KeyRef, PermitSlot, VersionWish, Wish,
};
use quick_cache::sync::Cache;

use crate::batcher::Batcher;
use crate::derive::DerivedKek;
use crate::key_cache::KeyCache;
use crate::needs::wrap_of;
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
}

impl Reader {
    /// A reader that derives through `cold`.
    pub(crate) fn new(
        plane: PlaneHandle,
        cold: Batcher,
        keys: Arc<KeyCache>,
        clock: ClockHandle,
        tenants: Arc<Tenants>,
    ) -> Self {
        Self { plane, cold, keys, hints: Cache::new(HINTS_MAX), tenants, clock }
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
            if let Some(opened) = self.read_warm(ctx, wish).await? {
                return Ok(opened);
            }
        }
        let wish = Wish::Read { items: items.clone(), version };
        let (account, opened) = self.read_cold(ctx, wish).await?;
        self.tenants.learn(ctx.caller(), account);
        let until = now.plus_seconds(self.keys.ttl_seconds().min(KEY_TTL_SECONDS_MAX));
        if now < until {
            for item in items {
                self.hints.insert((account, item, version), until);
            }
        }
        Ok(opened)
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

    async fn read_warm(&self, ctx: &Ctx, wish: Wish) -> Result<Option<Vec<OpenedItem>>, Fault> {
        let message = Grant { wishes: vec![(ctx.caller().clone(), wish)], with_permit: false };
        let reply = self.plane.ask(ctx.caller().clone(), message).await;
        let outcome = reply.and_then(|reply| {
            let first = reply.outcomes.into_iter().next();
            first.ok_or_else(|| Fault::internal("a grant without an outcome"))?
        });
        let granted = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        let Granted::Read(items) = granted.granted else { return Err(other_grant()) };
        items
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
            .collect()
    }

    fn cached<'a>(&self, version: &'a GrantedVersion) -> Option<(Envelope<'a>, PayloadKey)> {
        let envelope = Envelope::parse(&version.ciphertext).ok()?;
        let (_, wrap) = wrap_of(&envelope, &version.key)?;
        let key = self.keys.get(wrap.com().first_chunk()?)?;
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
        let key = payload_key(&envelope, &version.key, kek).ok_or_else(unreadable)?;
        let opened = open_value(item, version, &envelope, &key)?;
        self.keys.put(kek.com, &key, KEY_TTL_SECONDS_MAX);
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
    Ok(OpenedValue { version: version.version, value })
}

/// Decryption has one failure, whatever the reason.
fn cannot_open(item: &GrantedItem, version: u32) -> Fault {
    Fault::internal(format!("item {} version {version}: decryption failed", item.uid))
}

fn other_grant() -> Fault {
    Fault::internal("control granted something else than was asked")
}
