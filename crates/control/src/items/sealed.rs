//! What control can check of an envelope without any key: what it says about itself.

use std::sync::Arc;

use keysherd_base::{AccountId, Fault, Uid};
use keysherd_crypto::envelope::{Envelope, Header, WrapKind};
use keysherd_crypto::permit::Class;
use keysherd_plane::grants::KeyRef;

/// What an envelope must be about to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub(crate) account: AccountId,
    pub(crate) uid: Uid,
    pub(crate) version: u32,
    pub(crate) class: Class,
    pub(crate) key: KeyRef,
}

/// Refuses an envelope that is not what it was granted for: it could not be opened later.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check(ciphertext: &Arc<[u8]>, sealing: &Sealing) -> Result<(), Fault> {
    let wrong = |what: &'static str| {
        Fault::bad_request(format!(
            "the sealed value was not stored: {what}; let the gateway seal it again"
        ))
    };
    let envelope = Envelope::parse(ciphertext)
        .map_err(|_| wrong("it is not an envelope of a known format"))?;
    let Header { account, item_id, item_version, class, .. } = envelope.header();
    let told = (account, item_id, item_version, class);
    let granted =
        (sealing.account.0.0, sealing.uid.0, u64::from(sealing.version), sealing.class.number());
    if told != granted {
        return Err(wrong("it is sealed for another item or version"));
    }
    match salt_of(ciphertext, &sealing.key) {
        Some(_) => Ok(()),
        None => Err(wrong("it is not wrapped by the protection key")),
    }
}

/// The salt that `key`'s wrap of an envelope was derived with; `None` when there is no such wrap.
pub(crate) fn salt_of(ciphertext: &[u8], key: &KeyRef) -> Option<[u8; 32]> {
    salt_in(&Envelope::parse(ciphertext).ok()?, key)
}

/// As [`salt_of`], of an envelope that was parsed, or of its head.
pub(crate) fn salt_in(envelope: &Envelope<'_>, key: &KeyRef) -> Option<[u8; 32]> {
    Some(envelope.wrap(wrap_place(envelope, key)?)?.params().salt)
}

/// Which of the wraps is `key`'s.
pub(crate) fn wrap_place(envelope: &Envelope<'_>, key: &KeyRef) -> Option<usize> {
    let fragment = key.customer_fragment.unwrap_or_default().0;
    envelope.wraps().map(|wrap| wrap.params()).position(|wrap| {
        wrap.kind == WrapKind::Fragments
            && wrap.key_id == key.key_id.0
            && wrap.key_version == key.version
            && wrap.cf_id == fragment
    })
}
