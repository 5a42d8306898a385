//! Sealing values: all managers derive, the result is opened again before it may be stored.

use std::sync::Arc;

use keysherd_api::{Ctx, SealedWrite};
use keysherd_base::{AccountId, ClockHandle, Fault, ItemPath, Rng, RngHandle, SecretBytes, Uid};
use keysherd_crypto::envelope::{
    Envelope, Header, Kek, NewWrap, PayloadKey, SealOptions, WrapKind, WrapParams, confirm, detach,
    seal,
};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_domain::cluster::is_config_path;
use keysherd_domain::item::NameTag;
use keysherd_fragments::context::Class;
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_plane::grants::{Granted, KeyRef, Wish, WriteTarget};
use keysherd_plane::items::SealedValue;

use crate::batcher::Batcher;
use crate::derive::{DerivedKek, too_few};
use crate::key_cache::{Asked, KeyCache};
use crate::needs::wrap_of;
use crate::reader::payload_key;
use crate::spool::{Entry, Spool};

/// Type byte of envelopes: a value of an item.
const TYPE_VALUE: u8 = 1;

/// The write path.
pub(crate) struct Writer {
    batcher: Batcher,
    keys: Arc<KeyCache>,
    clock: ClockHandle,
    rng: RngHandle,
    /// Where values wait that were written while a manager was missing.
    spool: Option<Arc<Spool>>,
}

impl Writer {
    /// A writer that derives through `batcher`. Without a spool it needs all managers.
    pub(crate) fn new(
        batcher: Batcher,
        keys: Arc<KeyCache>,
        clock: ClockHandle,
        rng: RngHandle,
        spool: Option<Arc<Spool>>,
    ) -> Self {
        Self { batcher, keys, clock, rng, spool }
    }

    /// Seals `plaintext` for `target`.
    ///
    /// # Errors
    /// Control's refusal; a fault when the managers' answers do not agree or the sealed value does
    /// not open again.
    pub(crate) async fn seal(
        &self,
        ctx: &Ctx,
        target: WriteTarget,
        plaintext: SecretBytes,
    ) -> Result<SealedWrite, Fault> {
        let path = path_of(&target).clone();
        let is_item = !matches!(target, WriteTarget::GatewayCluster { .. });
        if is_item && is_config_path(&path) {
            return Err(Fault::bad_request(
                "names below /.gateway-clusters are those of gateways' own configurations; choose \
                 another name",
            ));
        }
        let salt = self.rng.array()?;
        let wish = Wish::Write { target, salt };
        let asked = self.keys.asked();
        let outcome = self.batcher.derive(ctx.caller().clone(), wish, None).await;
        let derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        let account = derived.granted.account.0;
        let Granted::Write { uid, version, overwrite, format, class, key, .. } =
            derived.granted.granted
        else {
            return Err(Fault::internal("control granted something else than was asked"));
        };
        let keks = derived.keks?;
        let [(_, derived)] = keks.as_slice() else {
            return Err(Fault::internal("a write needs exactly one derivation"));
        };
        let DerivedKek { kek, missing } = derived;
        let header = Header {
            account,
            item_id: uid.0,
            item_version: u64::from(version),
            class,
            type_: TYPE_VALUE,
        };
        let wrap = NewWrap { params: params(&key, salt), kek };
        let unconfirmed = !missing.is_empty();
        let ciphertext = if unconfirmed {
            // What is confirmed later is a value of an item.
            let spool =
                self.spool.as_ref().filter(|_| is_item && class == Class::SecretItem.number());
            let spool = spool.ok_or_else(|| too_few(*missing))?;
            self.seal_unconfirmed(spool, &header, &key, &wrap, *missing, &plaintext).await?
        } else {
            let sealed = sealed(&*self.rng, &header, &[wrap], &plaintext)?;
            opened_again(sealed, &key, kek, &plaintext)?
        };
        let payload = self.keep_key(&ciphertext, &key, kek, asked);
        let name_tag = payload.map(|payload| NameTag(payload.name_tag(path.as_str())));
        let value = SealedValue { ciphertext: ciphertext.into(), key, unconfirmed, name_tag };
        Ok(SealedWrite { uid, version, overwrite, format, value })
    }

    /// Seals with a second wrap, which stays here until all managers have confirmed the first.
    async fn seal_unconfirmed(
        &self,
        spool: &Arc<Spool>,
        header: &Header,
        key: &KeyRef,
        wrap: &NewWrap<'_>,
        missing: ManagerSet,
        plaintext: &SecretBytes,
    ) -> Result<Vec<u8>, Fault> {
        let (account, uid) = (AccountId(Uid(header.account)), Uid(header.item_id));
        let version = u32::try_from(header.item_version).map_err(Fault::internal)?;
        let own_salt: [u8; 32] = self.rng.array()?;
        let own_kek = spool.kek(account, uid, version, &own_salt);
        let own = WrapParams { kind: WrapKind::Pending, salt: own_salt, ..wrap.params };
        let own = NewWrap { params: own, kek: &own_kek };
        let both = sealed(&*self.rng, header, &[*wrap, own], plaintext)?;
        confirm(&both, 1, &own_kek, plaintext.expose())
            .map_err(|_| Fault::internal("the gateway's own wrap did not open again"))?;
        let (stored, own_wrap) = detach(&both, 1).map_err(Fault::internal)?;
        let stored = opened_again(stored, key, wrap.kek, plaintext)?;
        let entry = Entry {
            account,
            uid,
            version,
            key: *key,
            salt: wrap.params.salt,
            missing,
            written: self.clock.now(),
            wrap: own_wrap,
        };
        let spool = spool.clone();
        // Durable before control hears of the value.
        tokio::task::spawn_blocking(move || spool.keep(&entry))
            .await
            .map_err(Fault::internal)??;
        Ok(stored)
    }

    /// The payload key of what was sealed, which is kept: whoever writes a value often reads it
    /// next.
    fn keep_key(&self, sealed: &[u8], key: &KeyRef, kek: &Kek, asked: Asked) -> Option<PayloadKey> {
        let envelope = Envelope::parse(sealed).ok()?;
        let payload = payload_key(&envelope, key, kek)?;
        let (_, wrap) = wrap_of(&envelope, key)?;
        self.keys.put(wrap.identity(), &payload, asked);
        Some(payload)
    }
}

/// Seals a value of an item for a place that was granted, and attests the item's path. Nothing of
/// it is kept.
///
/// # Errors
/// [`Fault::internal`] when the sealed value does not open again.
pub(crate) fn seal_item(
    rng: &dyn Rng,
    (header, path): (&Header, &ItemPath),
    (key, salt): (KeyRef, [u8; 32]),
    kek: &Kek,
    plaintext: &SecretBytes,
) -> Result<SealedValue, Fault> {
    let wrap = NewWrap { params: params(&key, salt), kek };
    let ciphertext = opened_again(sealed(rng, header, &[wrap], plaintext)?, &key, kek, plaintext)?;
    let wrong = || Fault::internal("a sealed value did not open again; nothing was stored");
    let envelope = Envelope::parse(&ciphertext).map_err(|_| wrong())?;
    let payload = payload_key(&envelope, &key, kek).ok_or_else(wrong)?;
    let name_tag = Some(NameTag(payload.name_tag(path.as_str())));
    Ok(SealedValue { ciphertext: ciphertext.into(), key, unconfirmed: false, name_tag })
}

/// The header of a value of an item.
pub(crate) fn header_of(account: Uid, item: Uid, version: u32) -> Header {
    Header {
        account: account.0,
        item_id: item.0,
        item_version: u64::from(version),
        class: Class::SecretItem.number(),
        type_: TYPE_VALUE,
    }
}

fn sealed(
    rng: &dyn Rng,
    header: &Header,
    wraps: &[NewWrap<'_>],
    plaintext: &SecretBytes,
) -> Result<Vec<u8>, Fault> {
    seal(header, wraps, plaintext.expose(), rng, SealOptions::default()).map_err(Fault::internal)
}

/// Opens again the very bytes that will be stored.
fn opened_again(
    sealed: Vec<u8>,
    key: &KeyRef,
    kek: &Kek,
    plaintext: &SecretBytes,
) -> Result<Vec<u8>, Fault> {
    let wrong = || Fault::internal("a sealed value did not open again; nothing was stored");
    let envelope = Envelope::parse(&sealed).map_err(|_| wrong())?;
    let payload = payload_key(&envelope, key, kek).ok_or_else(wrong)?;
    let opened = envelope.open(&payload).map_err(|_| wrong())?;
    if !constant_time_eq(opened.expose(), plaintext.expose()) {
        return Err(wrong());
    }
    Ok(sealed)
}

fn params(key: &KeyRef, salt: [u8; 32]) -> WrapParams {
    WrapParams {
        kind: WrapKind::Fragments,
        key_id: key.key_id.0,
        key_version: key.version,
        cf_id: key.customer_fragment.unwrap_or_default().0,
        salt,
    }
}

fn path_of(target: &WriteTarget) -> &ItemPath {
    match target {
        WriteTarget::NewSecret { path, .. }
        | WriteTarget::NewValue { path, .. }
        | WriteTarget::SameValue { path, .. }
        | WriteTarget::GatewayCluster { path, .. }
        | WriteTarget::NewSealedKey { path, .. }
        | WriteTarget::RotatedSealedKey { path, .. } => path,
    }
}
