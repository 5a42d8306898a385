//! Sealing values: all managers derive, the result is opened again before it may be stored.

use std::sync::Arc;

use keysherd_api::{Ctx, SealedWrite};
use keysherd_base::{Fault, RngHandle, SecretBytes};
use keysherd_crypto::envelope::{
    Envelope, Header, Kek, NewWrap, SealOptions, WrapKind, WrapParams, seal,
};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_plane::grants::{Granted, KeyRef, Wish, WriteTarget};
use keysherd_plane::items::SealedValue;

use crate::batcher::Batcher;
use crate::key_cache::KeyCache;
use crate::reader::{KEY_TTL_SECONDS_MAX, payload_key};

/// Type byte of envelopes: a value of an item.
const TYPE_VALUE: u8 = 1;

/// The write path.
pub(crate) struct Writer {
    batcher: Batcher,
    keys: Arc<KeyCache>,
    rng: RngHandle,
}

impl Writer {
    /// A writer that derives through `batcher`.
    pub(crate) fn new(batcher: Batcher, keys: Arc<KeyCache>, rng: RngHandle) -> Self {
        Self { batcher, keys, rng }
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
        let salt = self.rng.array()?;
        let wish = Wish::Write { target, salt };
        let outcome = self.batcher.derive(ctx.caller().clone(), wish, None).await;
        let derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        let account = derived.granted.account.0;
        let Granted::Write { uid, version, overwrite, format, class, key, .. } =
            derived.granted.granted
        else {
            return Err(Fault::internal("control granted something else than was asked"));
        };
        let keks = derived.keks?;
        let [(_, kek)] = keks.as_slice() else {
            return Err(Fault::internal("a write needs exactly one derivation"));
        };
        let header = Header {
            account,
            item_id: uid.0,
            item_version: u64::from(version),
            class,
            type_: TYPE_VALUE,
        };
        let ciphertext = self.seal_verified(&header, &key, salt, kek, &plaintext)?;
        let value = SealedValue { ciphertext: ciphertext.into(), key, unconfirmed: false };
        Ok(SealedWrite { uid, version, overwrite, format, value })
    }

    /// Seals, and opens again from the very bytes that will be stored.
    fn seal_verified(
        &self,
        header: &Header,
        key: &KeyRef,
        salt: [u8; 32],
        kek: &Kek,
        plaintext: &SecretBytes,
    ) -> Result<Vec<u8>, Fault> {
        let params = WrapParams {
            kind: WrapKind::Fragments,
            key_id: key.key_id.0,
            key_version: key.version,
            cf_id: key.customer_fragment.unwrap_or_default().0,
            salt,
        };
        let wrap = NewWrap { params, kek };
        let options = SealOptions::default();
        let sealed = seal(header, &[wrap], plaintext.expose(), &*self.rng, options)
            .map_err(Fault::internal)?;
        let wrong = || Fault::internal("a sealed value did not open again; nothing was stored");
        let envelope = Envelope::parse(&sealed).map_err(|_| wrong())?;
        let payload = payload_key(&envelope, key, kek).ok_or_else(wrong)?;
        let opened = envelope.open(&payload).map_err(|_| wrong())?;
        if !constant_time_eq(opened.expose(), plaintext.expose()) {
            return Err(wrong());
        }
        // Whoever writes a value often reads it next.
        self.keys.put(kek.com, &payload, KEY_TTL_SECONDS_MAX);
        Ok(sealed)
    }
}
