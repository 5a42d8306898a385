//! Leg S: the replicated-key PRF (design 5.3). Post-quantum; cross-checked, not provable.
//!
//! One key for each set A of n-t+1 managers, held by every manager of A. A partial is SP 800-108
//! KBKDF in counter mode with HMAC-SHA-256, one block; the leg's value is the XOR over all A.

use keysherd_crypto::hash::{HmacKey, constant_time_eq, hkdf_extract};
use zeroize::{Zeroize, Zeroizing};

use crate::context::{CONTEXT_BYTES, Context};
use crate::labels;
use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::manifest::KeyVersion;
use crate::refusal::Refusal;

#[cfg(test)]
mod tests;

/// Counter of the first and only block of a KBKDF output.
pub(crate) const KBKDF_COUNTER: [u8; 4] = 1_u32.to_be_bytes();
/// Length of a KBKDF output in bits.
pub(crate) const KBKDF_BITS: [u8; 4] = 256_u32.to_be_bytes();

/// The leg-S keys one manager holds of one key version. They have one use: partials.
///
/// No `Clone`, `Debug` or `Serialize`: zeroized on drop.
pub struct ShareS {
    threshold: Threshold,
    /// By ascending holder set.
    keys: Vec<(ManagerSet, Zeroizing<[u8; 32]>)>,
}

impl ShareS {
    /// The keys of `manager`.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] unless there is exactly one key for each holder set of the manager,
    /// by ascending set, and none is zero.
    pub(crate) fn new(
        threshold: Threshold,
        manager: ManagerIndex,
        keys: Vec<(ManagerSet, Zeroizing<[u8; 32]>)>,
    ) -> Result<Self, Refusal> {
        let sets_fit = keys.iter().map(|(set, _)| *set).eq(threshold.sets_of(manager));
        let none_zero = keys.iter().all(|(_, key)| **key != [0; 32]);
        if sets_fit && none_zero { Ok(Self { threshold, keys }) } else { Err(Refusal::BadRecord) }
    }

    /// The same keys once more, for the shares of the next epoch.
    pub(crate) fn copy(&self) -> Self {
        Self { threshold: self.threshold, keys: self.keys.clone() }
    }

    /// The holder sets and keys, for the record at rest.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (ManagerSet, &[u8; 32])> {
        self.keys.iter().map(|(set, key)| (*set, &**key))
    }

    /// The check values, by ascending holder set.
    pub fn checks(&self) -> Vec<[u8; 16]> {
        self.keys().map(|(set, key)| check_value(key, set)).collect()
    }

    /// The keys made ready for a batch.
    pub(crate) fn prepare(&self) -> PreparedS {
        let keys = self.keys().map(|(set, key)| (set, HmacKey::new(key))).collect();
        PreparedS { keys, partial_bytes: 32 * self.threshold.sets_held() }
    }
}

/// Leg-S keys whose HMAC blocks are hashed, for the length of one batch.
pub(crate) struct PreparedS {
    keys: Vec<(ManagerSet, HmacKey)>,
    partial_bytes: usize,
}

impl PreparedS {
    /// Writes the partials for `context` into `out`, 32 bytes each, by ascending holder set.
    pub(crate) fn partials(&self, context: &Context, out: &mut [u8]) {
        debug_assert_eq!(out.len(), self.partial_bytes, "room for every partial");
        for ((set, key), out) in self.keys.iter().zip(out.chunks_exact_mut(32)) {
            let mut partial = kbkdf(key, labels::LEG_S, *set, context.as_bytes());
            out.copy_from_slice(&partial);
            partial.zeroize();
        }
    }
}

/// The partial `s_A` for `context` under the key of holder set `set`.
pub fn partial(key: &[u8; 32], set: ManagerSet, context: &Context) -> [u8; 32] {
    kbkdf(&HmacKey::new(key), labels::LEG_S, set, context.as_bytes())
}

/// The check value `kcv_A`: holders compare it, and it says nothing about partials.
pub fn check_value(key: &[u8; 32], set: ManagerSet) -> [u8; 16] {
    let mut full = kbkdf(&HmacKey::new(key), labels::LEG_S_CHECK, set, &[0; CONTEXT_BYTES]);
    let mut check = [0; 16];
    check.copy_from_slice(&full[..16]);
    full.zeroize();
    check
}

/// The key of holder set `set`, from the contributions of its managers (design 5.4).
pub(crate) fn join_contributions(
    contributions: &mut [Zeroizing<[u8; 32]>],
    set: ManagerSet,
    key: &KeyVersion,
) -> Zeroizing<[u8; 32]> {
    contributions.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
    let bits = set.bits().to_be_bytes();
    let version = key.version.to_be_bytes();
    let parts: Vec<&[u8]> = contributions
        .iter()
        .map(|contribution| contribution.as_slice())
        .chain([bits.as_slice(), key.id.as_bytes(), &version])
        .collect();
    Zeroizing::new(*hkdf_extract(labels::LEG_S_GENERATION, &parts).expose())
}

/// XORs `partial` into `sum`: the leg's value is the XOR over all holder sets.
pub fn add(sum: &mut [u8; 32], partial: &[u8; 32]) {
    for (sum, partial) in sum.iter_mut().zip(partial) {
        *sum ^= partial;
    }
}

/// Whether two holders gave the same partial, in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time_eq(a, b)
}

fn kbkdf(key: &HmacKey, label: &[u8], set: ManagerSet, context: &[u8; CONTEXT_BYTES]) -> [u8; 32] {
    key.tag(&[&KBKDF_COUNTER, label, &set.bits().to_be_bytes(), context, &KBKDF_BITS])
}
