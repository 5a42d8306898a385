//! Lagrange interpolation in the exponent of leg G, its coefficients computed once per set.
//!
//! Coefficients and points' indexes are public, so the multiplications may take variable time in
//! them; they do not in the points.

use std::sync::OnceLock;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, VartimeMultiscalarMul};
use zeroize::Zeroizing;

use crate::leg_g;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};

#[cfg(test)]
mod tests;

/// Coefficients up to this size are applied by a few doublings: 0.3 us instead of 28 us.
const SMALL_MAX: i32 = 64;

/// How the points of one set of managers combine to the value at zero.
pub struct Interpolation {
    /// One for each manager of the set, ascending.
    halves: Vec<Scalar>,
    /// The same coefficients, not halved, when all of them are small integers.
    small: Option<Vec<i32>>,
}

static TABLE: [OnceLock<Interpolation>; 1 << MANAGERS_MAX] =
    [const { OnceLock::new() }; 1 << MANAGERS_MAX];

impl Interpolation {
    /// The interpolation for exactly the managers of `set`. For the empty set it is of no use.
    pub fn of(set: ManagerSet) -> &'static Self {
        let cell = TABLE.get(usize::from(set.bits())).expect("invariant: a set has 7 bits");
        cell.get_or_init(|| Self::compute(set))
    }

    fn compute(set: ManagerSet) -> Self {
        let full = coefficients_at(set, 0);
        let small: Option<Vec<i32>> = full.iter().map(small_integer).collect();
        let half = leg_g::half_of_one();
        Self { halves: full.iter().map(|coefficient| coefficient * half).collect(), small }
    }

    /// Whether combining is cheap.
    pub fn is_small(&self) -> bool {
        self.small.is_some()
    }

    /// Combines `points`, which has the points of one entry after those of another, each in the
    /// order of the set's managers. Gives one compressed point per entry.
    pub fn combine(&self, points: &[RistrettoPoint]) -> Vec<CompressedRistretto> {
        // There is no empty quorum; a chunk of length zero would panic all the same.
        let entries = points.chunks_exact(self.halves.len().max(1));
        if let Some(small) = &self.small {
            // Also the empty set, whose sum is the identity: no caller takes that for a key.
            return entries.map(|points| sum_small(small, points).compress()).collect();
        }
        let halves: Zeroizing<Vec<RistrettoPoint>> = Zeroizing::new(
            entries
                .map(|points| RistrettoPoint::vartime_multiscalar_mul(&self.halves, points))
                .collect(),
        );
        leg_g::compress_doubled(&halves)
    }
}

/// The cheapest set of `t` of `available` to combine; `None` when there are fewer.
pub fn best_quorum(available: ManagerSet, t: u8) -> Option<ManagerSet> {
    let small = available.subsets(t).find(|set| Interpolation::of(*set).is_small());
    small.or_else(|| available.subsets(t).next())
}

/// Whether `points`, of managers 1 to n, lie on a polynomial of degree t-1 whose value at zero is
/// `at_zero`: whether any t of them give the same key.
pub(crate) fn is_sharing_of(
    threshold: Threshold,
    points: &[RistrettoPoint],
    at_zero: &RistrettoPoint,
) -> bool {
    let base = ManagerSet::first(threshold.t());
    let Some(base_points) = points.get(..usize::from(threshold.t())) else {
        return false;
    };
    points.len() == usize::from(threshold.n())
        && value_at(base, 0, base_points) == *at_zero
        && (1_u8..)
            .zip(points)
            .skip(base_points.len())
            .all(|(x, point)| value_at(base, x, base_points) == *point)
}

/// What the points of the managers of `set`, ascending, say about the point at `x`.
pub(crate) fn value_at(set: ManagerSet, x: u8, points: &[RistrettoPoint]) -> RistrettoPoint {
    let coefficients = coefficients_at(set, x);
    // The multiplication demands one coefficient for each point.
    if coefficients.len() != points.len() {
        return RistrettoPoint::identity();
    }
    RistrettoPoint::vartime_multiscalar_mul(coefficients, points)
}

/// The Lagrange coefficients of the managers of `set` for the value at `x`.
pub(crate) fn coefficients_at(set: ManagerSet, x: u8) -> Vec<Scalar> {
    let at = |manager: ManagerIndex| Scalar::from(manager.get());
    let x = Scalar::from(x);
    set.iter()
        .map(|i| {
            let others = || set.iter().filter(|j| *j != i);
            let above: Scalar = others().map(|j| at(j) - x).product();
            let below: Scalar = others().map(|j| at(j) - at(i)).product();
            above * below.invert()
        })
        .collect()
}

fn small_integer(value: &Scalar) -> Option<i32> {
    (-SMALL_MAX..=SMALL_MAX).find(|candidate| {
        let size = Scalar::from(candidate.unsigned_abs());
        *value == if *candidate < 0 { -size } else { size }
    })
}

/// The sum of small multiples, by doubling from the highest bit down.
fn sum_small(coefficients: &[i32], points: &[RistrettoPoint]) -> RistrettoPoint {
    let largest = coefficients.iter().map(|c| c.unsigned_abs()).max().unwrap_or(0);
    let mut sum = RistrettoPoint::identity();
    for bit in (0..32 - largest.leading_zeros()).rev() {
        sum = sum + sum;
        for (coefficient, point) in coefficients.iter().zip(points) {
            if coefficient.unsigned_abs() >> bit & 1 == 0 {
                continue;
            }
            sum = if *coefficient < 0 { sum - point } else { sum + point };
        }
    }
    sum
}
