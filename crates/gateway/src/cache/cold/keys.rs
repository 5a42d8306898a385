//! Opened keys in a copy: those of what is bound to a customer fragment, sealed under it (design
//! 5.13, class 2).
//!
//! ```text
//! keys    = sealed (key*)   under HKDF(customer fragment, "KSF1/cache")
//! key     = identity of the wrap 32 | payload key 96 | age in milliseconds u64
//! context = bound 32 | account 16 | key id 16 | key version u32
//! ```
//! `bound` stands for everything else in the copy, the time when it was written included. So a key
//! cannot be made younger, nor be taken into another copy, by who has not the fragment.

use keysherd_base::{RngFailed, RngHandle, SecretBuffer};
use keysherd_crypto::envelope::PayloadKey;
use keysherd_crypto::vault::{SECRET_BYTES_MAX, VaultKey};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manifest::KeyVersion;

const PURPOSE: &str = "read-copy-keys";
const IDENTITY_BYTES: usize = 32;
const AGE_BYTES: usize = 8;
const KEY_BYTES: usize = IDENTITY_BYTES + keysherd_crypto::envelope::PAYLOAD_KEY_BYTES + AGE_BYTES;
/// Keys that are sealed together, at most.
pub(super) const KEYS_MAX: usize = SECRET_BYTES_MAX / KEY_BYTES;

/// An opened key.
pub(super) struct OpenedKey {
    /// Of the wrap that it comes from.
    pub(super) identity: [u8; IDENTITY_BYTES],
    pub(super) key: PayloadKey,
    /// How long before the copy was written managers were asked for it.
    pub(super) age_millis: u64,
}

/// What keys of one key version are sealed under, and for.
pub(super) struct KeySeal {
    key: VaultKey,
    context: Vec<u8>,
}

impl KeySeal {
    /// The seal of keys that `of` wraps, which is bound to `fragment`, in the copy that `bound`
    /// stands for.
    pub(super) fn new(fragment: &CustomerFragment, of: &KeyVersion, bound: &[u8; 32]) -> Self {
        let KeyVersion { account, id, version } = of;
        let context: [&[u8]; 4] =
            [bound, account.0.as_bytes(), id.as_bytes(), &version.to_be_bytes()];
        Self { key: VaultKey::new(&fragment.cache_key()), context: context.concat() }
    }

    /// Seals up to [`KEYS_MAX`] keys.
    ///
    /// # Errors
    /// [`RngFailed`].
    pub(super) fn seal(
        &self,
        keys: impl Iterator<Item = OpenedKey>,
        rng: &RngHandle,
    ) -> Result<Vec<u8>, RngFailed> {
        let mut text = SecretBuffer::with_capacity(SECRET_BYTES_MAX);
        for OpenedKey { identity, key, age_millis } in keys.take(KEYS_MAX) {
            text.extend(&identity);
            text.extend(key.as_bytes().expose());
            text.extend(&age_millis.to_be_bytes());
        }
        self.key.seal(PURPOSE, &self.context, &text.finish(), &**rng)
    }

    /// What was sealed so; `None` for all else.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<OpenedKey>> {
        let opened = self.key.open(PURPOSE, &self.context, sealed).ok()?;
        opened.expose().chunks(KEY_BYTES).map(opened_key).collect()
    }
}

fn opened_key(bytes: &[u8]) -> Option<OpenedKey> {
    let (identity, rest) = bytes.split_first_chunk()?;
    let (key, age) = rest.split_last_chunk()?;
    let age_millis = u64::from_be_bytes(*age);
    Some(OpenedKey { identity: *identity, key: PayloadKey::from_slice(key)?, age_millis })
}
