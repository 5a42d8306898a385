//! Sharing a secret among people: any `k` of `m` shares give it, fewer say nothing (Shamir 1979).
//!
//! Each byte of the secret is the constant term of a random polynomial of degree `k - 1` over
//! GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1; share number `x` has the polynomials' values at `x`.
//! The coefficients are uniform, the leading one too: an excluded zero would say something about
//! the secret. No table is indexed by secret values, so no cache shows them. Shares carry no proof
//! of their own: whoever stores them adds a checksum and what they belong to.

use std::fmt;

use keysherd_base::{Rng, RngFailed, Secret, SecretBytes};
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// x^8 + x^4 + x^3 + x^2 + 1 without its highest term.
const REDUCTION: u8 = 0x1d;
/// Longest secret that is shared, in bytes.
pub const SECRET_BYTES_MAX: usize = 8 * 1024;

/// One person's part.
#[derive(Debug)]
pub struct Share {
    /// Where the polynomials were evaluated, 1 to 255. Not secret.
    pub index: u8,
    /// Their values, one for each byte of the secret.
    pub value: SecretBytes,
}

/// Why a secret was not shared or not put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharingFailed {
    /// Not 2 <= k <= m <= 255, or a secret of no or too many bytes.
    Parameters,
    /// Fewer than k shares.
    TooFew,
    /// Two shares have one index, one has index 0, or their lengths differ.
    Mixed,
    /// More than k shares which do not all lie on one polynomial: at least one is wrong.
    Contradiction,
    /// The random source failed.
    Random,
}

impl fmt::Display for SharingFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameters => {
                "a secret is shared among 2 to 255 people, of whom 2 or more restore it"
            }
            Self::TooFew => "fewer shares than are needed",
            Self::Mixed => "the shares do not belong together, or one is given twice",
            Self::Contradiction => "the shares contradict each other: at least one is wrong",
            Self::Random => "the random source failed",
        })
    }
}

impl std::error::Error for SharingFailed {}

impl From<RngFailed> for SharingFailed {
    fn from(_: RngFailed) -> Self {
        Self::Random
    }
}

/// Shares `secret` among `shares` people, of whom `threshold` restore it.
///
/// # Errors
/// [`SharingFailed::Parameters`], [`SharingFailed::Random`].
pub fn split(
    secret: &[u8],
    threshold: u8,
    shares: u8,
    rng: &dyn Rng,
) -> Result<Vec<Share>, SharingFailed> {
    let possible = (2..=shares).contains(&threshold);
    if !possible || secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
        return Err(SharingFailed::Parameters);
    }
    // Row by row: the coefficients of x, of x^2, and so on, for all bytes of the secret.
    let mut coefficients = Zeroizing::new(vec![0; secret.len() * usize::from(threshold - 1)]);
    rng.fill(&mut coefficients)?;
    let share = |index: u8| {
        let mut value = Secret::new(vec![0; secret.len()]);
        // Horner's rule, from the highest coefficient to the secret.
        let rows = coefficients.chunks(secret.len()).rev().chain([secret]);
        for row in rows {
            for (sum, term) in value.expose_mut().iter_mut().zip(row) {
                *sum = multiply(*sum, index) ^ term;
            }
        }
        Share { index, value }
    };
    Ok((1..=shares).map(share).collect())
}

/// The secret of which these are shares. All that are given must agree.
///
/// # Errors
/// [`SharingFailed::TooFew`], [`SharingFailed::Mixed`], [`SharingFailed::Contradiction`]. Exactly
/// `threshold` shares of which one is wrong give a wrong secret: check it.
pub fn combine(threshold: u8, shares: &[Share]) -> Result<SecretBytes, SharingFailed> {
    let needed = usize::from(threshold);
    if needed < 2 || shares.len() < needed {
        return Err(SharingFailed::TooFew);
    }
    let (used, others) = shares.split_at(needed);
    let length = used.first().map_or(0, |share| share.value.expose().len());
    let mut seen = [false; 256];
    for share in shares {
        let repeated = std::mem::replace(&mut seen[usize::from(share.index)], true);
        if repeated || share.index == 0 || share.value.expose().len() != length {
            return Err(SharingFailed::Mixed);
        }
    }
    for other in others {
        if interpolate(used, other.index, length).expose() != other.value.expose() {
            return Err(SharingFailed::Contradiction);
        }
    }
    Ok(interpolate(used, 0, length))
}

/// The polynomials' values at `x`, from exactly as many shares as they have coefficients.
fn interpolate(shares: &[Share], x: u8, length: usize) -> SecretBytes {
    let mut result = Secret::new(vec![0; length]);
    for share in shares {
        let others = shares.iter().filter(|other| other.index != share.index);
        let weight = others.fold(1, |weight, other| {
            let fraction = multiply(x ^ other.index, inverse(share.index ^ other.index));
            multiply(weight, fraction)
        });
        for (sum, value) in result.expose_mut().iter_mut().zip(share.value.expose()) {
            *sum ^= multiply(*value, weight);
        }
    }
    result
}

/// The product in the field, without branches and tables.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0_u8.wrapping_sub((b >> bit) & 1);
        a = (a << 1) ^ (REDUCTION & 0_u8.wrapping_sub(a >> 7));
    }
    product
}

/// The inverse in the field: a^254; 0 for 0.
fn inverse(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + .. + 128
    let (mut square, mut product) = (a, 1);
    for _ in 0..7 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}
