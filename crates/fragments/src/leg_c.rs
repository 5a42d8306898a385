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

    /// The key under which a gateway keeps on its disk what it opened by way of this fragment
    /// (design 5.13, class 2): HKDF-SHA-256 (RFC 5869) of the fragment, with the label as salt,
    /// and label and id as info. Whoever has the fragment has it, in a file as in a module; the
    /// fragment is not told by it.
    pub fn cache_key(&self) -> Secret<[u8; 32]> {
        let prk = hkdf_extract(labels::LEG_C_CACHE, &[self.value.expose()]);
        let mut key = Secret::new([0; 32]);
        let info: [&[u8]; 2] = [labels::LEG_C_CACHE, self.id.as_bytes()];
        hkdf_expand(prk.expose(), &info, key.expose_mut());
        key
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(id: u8, value: [u8; 32]) -> CustomerFragment {
        CustomerFragment::new(Uid([id; 16]), &value).unwrap()
    }

    fn value() -> [u8; 32] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    /// Made by another implementation of RFC 5869.
    #[test]
    fn the_key_of_what_is_kept_is_hkdf_of_the_fragment() {
        let key = fragment(0xcf, value()).cache_key();
        assert_eq!(
            hex::encode(key.expose()),
            "0b2129c32f9d2b66c7574cf16eeae04c9d28700ee077d8749f383a8f3e61974a"
        );
    }

    #[test]
    fn each_fragment_has_another_one() {
        let mut other = value();
        other[31] ^= 1;
        let tag = Secret::new(value());
        let made = [
            fragment(1, value()),
            fragment(2, value()),
            fragment(1, other),
            CustomerFragment::from_module(Uid([1; 16]), &tag).unwrap(),
        ];
        let mut keys: Vec<[u8; 32]> = made.iter().map(|one| *one.cache_key().expose()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), made.len());
    }
}
