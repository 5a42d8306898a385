//! Permits that were verified before, by hash: their signature is paid for once.

use std::sync::Arc;

use keysherd_base::Timestamp;
use keysherd_crypto::hash::sha256;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::encoding::Signed;
use keysherd_fragments::manager_side::VerifiedPermit;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::refusal::Refusal;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// A verified permit and the key versions it names.
pub(crate) struct KnownPermit {
    /// The permit.
    pub(crate) verified: VerifiedPermit,
    /// Its key versions, each once.
    pub(crate) keys: Vec<KeyVersion>,
}

#[derive(Clone)]
struct ByEntries;

impl Weighter<[u8; 32], Arc<KnownPermit>> for ByEntries {
    fn weight(&self, _: &[u8; 32], known: &Arc<KnownPermit>) -> u64 {
        known.verified.permit().entries.len() as u64 + 1
    }
}

/// Permits that were verified, within a bound of entries over all of them.
pub(crate) struct Permits(Cache<[u8; 32], Arc<KnownPermit>, ByEntries>);

/// How many entries a permit has on average, for sizing the table only.
const ENTRIES_USUAL: u64 = 4;

impl Permits {
    /// No permit yet; at most `entries_max` entries later.
    pub(crate) fn new(entries_max: u64) -> Self {
        let count = usize::try_from(entries_max / ENTRIES_USUAL).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(count, entries_max, ByEntries))
    }

    /// Verifies a permit, or finds that these very bytes were verified under this very bundle.
    /// Its time is checked again by whoever uses it.
    ///
    /// # Errors
    /// As [`VerifiedPermit::verify`].
    pub(crate) fn verify(
        &self,
        bundle: &PinnedBundle,
        signed: &Signed,
        now: Timestamp,
    ) -> Result<Arc<KnownPermit>, Refusal> {
        // The bundle is part of the name: under a newer one a permit is verified anew.
        let version = bundle.version().to_be_bytes();
        let name = sha256(&[&version, &signed.signature.0, &signed.body]);
        if let Some(known) = self.0.get(&name) {
            return Ok(known);
        }
        let verified = VerifiedPermit::verify(bundle, signed, now)?;
        let permit = verified.permit();
        let mut keys: Vec<KeyVersion> = permit
            .entries
            .iter()
            .map(|entry| KeyVersion {
                account: permit.account,
                id: entry.key_id,
                version: entry.key_version,
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let known = Arc::new(KnownPermit { verified, keys });
        self.0.insert(name, known.clone());
        Ok(known)
    }
}
