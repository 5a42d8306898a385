//! Leg C: the PRF under the customer fragment, which only the gateway holds (design 5.3).

use keysherd_base::{Secret, Uid};
use keysherd_crypto::hash::hmac_sha256;
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
