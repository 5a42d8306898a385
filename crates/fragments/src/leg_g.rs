//! Leg G: the group PRF, RFC 9497 `ristretto255-SHA512` in VOPRF mode, not blinded, its key
//! Shamir-shared (design 5.3). Provable and refreshable; not post-quantum.
//!
//! A manager hashes the context itself. It never multiplies a point that somebody sent.

use aws_lc_rs::digest::{self, SHA512};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroizing;

use crate::context::{CONTEXT_BYTES, Context};
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::refusal::Refusal;

#[cfg(test)]
mod tests;

/// A manager's share of the leg-G key of one key version. It has one use: evaluating contexts, and
/// proving that. It never signs.
///
/// No `Clone`, `Debug` or `Serialize`: zeroized on drop.
pub struct ShareG {
    manager: ManagerIndex,
    secret: Zeroizing<Scalar>,
    /// Half of the secret: halves are doubled while a whole batch is compressed, which costs an
    /// eighth of compressing points one by one.
    half: Zeroizing<Scalar>,
    public: [u8; 32],
}

impl ShareG {
    /// The share of `manager` with this canonical little-endian scalar.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] for a scalar that is zero or not canonical.
    pub(crate) fn new(manager: ManagerIndex, secret: &[u8; 32]) -> Result<Self, Refusal> {
        let secret = Option::<Scalar>::from(Scalar::from_canonical_bytes(*secret));
        let secret = Zeroizing::new(secret.ok_or(Refusal::BadRecord)?);
        if *secret == Scalar::ZERO {
            return Err(Refusal::BadRecord);
        }
        let half = Zeroizing::new(*secret * half_of_one());
        let public = RistrettoPoint::mul_base(&secret).compress().to_bytes();
        Ok(Self { manager, secret, half, public })
    }

    /// Whose share it is.
    pub fn manager(&self) -> ManagerIndex {
        self.manager
    }

    /// The public share `P_i`, as in the key manifest.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The scalar, for the record at rest, and for proofs.
    pub(crate) fn secret(&self) -> &Scalar {
        &self.secret
    }

    /// Half of `Y_i` for a hashed context; [`compress_doubled`] gives `Y_i`.
    pub(crate) fn evaluate_half(&self, hashed: &RistrettoPoint) -> RistrettoPoint {
        hashed * *self.half
    }
}

/// The group element of a context.
pub fn hash_context(context: &Context) -> RistrettoPoint {
    hash_to_group(context.as_bytes())
}

/// RFC 9497 HashToGroup: RFC 9380 `hash_to_ristretto255` with expand_message_xmd over SHA-512.
pub(crate) fn hash_to_group(message: &[u8]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&expand_message(&[message], labels::HASH_TO_GROUP))
}

/// RFC 9497 HashToScalar.
pub(crate) fn hash_to_scalar(message: &[&[u8]]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&expand_message(message, labels::HASH_TO_SCALAR))
}

/// SHA-512 of `parts` one after the other.
pub(crate) fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut context = digest::Context::new(&SHA512);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("invariant: SHA-512 gives 64 bytes")
}

/// Reads a compressed group element.
///
/// # Errors
/// [`Refusal::BadPoint`] for encodings that are not canonical and for the identity.
pub fn decode_point(bytes: &[u8; 32]) -> Result<RistrettoPoint, Refusal> {
    let point = CompressedRistretto(*bytes).decompress().ok_or(Refusal::BadPoint)?;
    if point.is_identity() { Err(Refusal::BadPoint) } else { Ok(point) }
}

/// Compresses the doubles of `halves`, all of them with one field inversion.
pub(crate) fn compress_doubled(halves: &[RistrettoPoint]) -> Vec<CompressedRistretto> {
    RistrettoPoint::double_and_compress_batch(halves)
}

/// One half, as a scalar.
pub(crate) fn half_of_one() -> Scalar {
    Scalar::from(2_u8).invert()
}

/// RFC 9497 Finalize: the leg's value from the combined point.
pub fn finalize(context: &Context, point: &[u8; 32]) -> Zeroizing<[u8; 64]> {
    const LENGTH: [u8; 2] = 100_u16.to_be_bytes();
    const _: () = assert!(CONTEXT_BYTES == 100);
    finalize_parts(&LENGTH, context.as_bytes(), point)
}

fn finalize_parts(length: &[u8; 2], input: &[u8], point: &[u8; 32]) -> Zeroizing<[u8; 64]> {
    Zeroizing::new(sha512(&[length, input, &[0, 32], point, b"Finalize"]))
}

/// RFC 9380 expand_message_xmd over SHA-512 for 64 bytes: exactly one block, so `b_1` is all.
fn expand_message(message: &[&[u8]], dst: &[u8]) -> [u8; 64] {
    let dst_length = [u8::try_from(dst.len()).expect("invariant: labels are short")];
    let mut first = digest::Context::new(&SHA512);
    // Z_pad: one input block of SHA-512.
    first.update(&[0; 128]);
    for part in message {
        first.update(part);
    }
    // l_i_b_str and the zero byte after it.
    first.update(&[0, 64, 0]);
    first.update(dst);
    first.update(&dst_length);
    sha512(&[first.finish().as_ref(), &[1], dst, &dst_length])
}
