//! The three legs become one key and its commitment (design 5.3).

use keysherd_base::Secret;
use keysherd_crypto::hash::{constant_time_eq, hkdf_expand, hkdf_extract};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::labels;
use crate::leg_c::CustomerFragment;
use crate::leg_g;

/// A key-encryption key and its commitment.
pub struct DerivedKey {
    /// The key. It wraps exactly one data key.
    pub kek: Secret<[u8; 32]>,
    /// The commitment, stored with the ciphertext: AES-GCM does not commit to its key. Public.
    pub commitment: [u8; 32],
}

impl DerivedKey {
    /// Whether this is the key a ciphertext commits to, in constant time.
    pub fn is_committed(&self, commitment: &[u8; 32]) -> bool {
        constant_time_eq(&self.commitment, commitment)
    }
}

impl std::fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DerivedKey")
    }
}

/// Joins leg S, the combined point of leg G, and leg C.
pub fn combine(
    context: &Context,
    leg_s: &[u8; 32],
    point: &[u8; 32],
    fragment: Option<&CustomerFragment>,
) -> DerivedKey {
    let leg_g = leg_g::finalize(context, point);
    let leg_c = fragment.map_or(Zeroizing::new([0; 32]), |fragment| fragment.value(context));
    let prk = extract(leg_s, &leg_c, &leg_g);
    let fragment_id = fragment.map_or([0; 16], |fragment| *fragment.id().as_bytes());
    let flag = [u8::from(fragment.is_some())];
    let mut out = Zeroizing::new([0; 64]);
    let info = [labels::KEK, &flag, &fragment_id, context.as_bytes()];
    hkdf_expand(prk.expose(), &info, out.as_mut_slice());
    let mut key = DerivedKey { kek: Secret::new([0; 32]), commitment: [0; 32] };
    let (kek, commitment) = out.split_at(32);
    key.kek.expose_mut().copy_from_slice(kek);
    key.commitment.copy_from_slice(commitment);
    key
}

/// HKDF-Extract over the fixed-length values of the legs, the approved secret first.
pub fn extract(leg_s: &[u8; 32], leg_c: &[u8; 32], leg_g: &[u8; 64]) -> Secret<[u8; 32]> {
    hkdf_extract(labels::COMBINE, &[leg_s, leg_c, leg_g])
}
