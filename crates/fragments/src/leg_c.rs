//! Leg C: the PRF under the customer fragment, which only the gateway holds (design 5.3).

use keysherd_base::{Secret, Uid};
use keysherd_crypto::hash::{constant_time_eq, hkdf_expand, hkdf_extract, hmac_sha256};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::labels;
use crate::leg_s::{KBKDF_BITS, KBKDF_COUNTER};
use crate::refusal::Refusal;

/// A customer fragment: losing it loses the data that is bound to it.
pub struct CustomerFragment {
    id: Uid,
    value: Secret<[u8; 32]>,
}

impl CustomerFragment {
    /// Takes the fragment in.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] unless the value has exactly 32 bytes (HMAC pads shorter keys with
    /// zeros, so `k` and `k | 00` would be one key), is not all zero, and the id is not all zero
    /// (which means "no fragment").
    pub fn new(id: Uid, value: &[u8]) -> Result<Self, Refusal> {
        let value: [u8; 32] = value.try_into().map_err(|_| Refusal::Malformed)?;
        let value = Secret::new(value);
        if id == Uid::default() || *value.expose() == [0; 32] {
            return Err(Refusal::Malformed);
        }
        Ok(Self { id, value })
    }

    /// The fragment `id` that a hardware module keeps: made of the module's HMAC-SHA-256 of the
    /// seed in the file, so that neither file nor module alone gives it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when the id is all zero.
    pub fn from_module(id: Uid, tag: &Secret<[u8; 32]>) -> Result<Self, Refusal> {
        let prk = hkdf_extract(labels::LEG_C_MODULE, &[tag.expose()]);
        let mut value = Zeroizing::new([0; 32]);
        hkdf_expand(prk.expose(), &[labels::LEG_C_MODULE, id.as_bytes()], &mut *value);
        Self::new(id, &*value)
    }

    /// Tells this fragment from others without telling anything about its value: 16 bytes of a PRF
    /// under the fragment itself. The manifest of a key carries it, and people compare it as the
    /// fragment's fingerprint.
    pub fn check_value(&self) -> [u8; 16] {
        let parts: [&[u8]; 4] =
            [&KBKDF_COUNTER, labels::LEG_C_CHECK, self.id.as_bytes(), &KBKDF_BITS];
        let tag = hmac_sha256(self.value.expose(), &parts);
        *tag.first_chunk().expect("invariant: 16 of 32 bytes")
    }

    /// Whether this is the fragment with this id and check value.
    pub fn is(&self, id: &Uid, check: &[u8; 16]) -> bool {
        self.id == *id && constant_time_eq(&self.check_value(), check)
    }

    /// Its id.
    pub fn id(&self) -> &Uid {
        &self.id
    }

    /// The leg's value for `context`.
    pub fn value(&self, context: &Context) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac_sha256(
            self.value.expose(),
            &[&KBKDF_COUNTER, labels::LEG_C, self.id.as_bytes(), context.as_bytes(), &KBKDF_BITS],
        ))
    }
}
