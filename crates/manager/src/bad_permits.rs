//! How many permits that control did not sign one gateway may show in a second.
//!
//! Looking at one costs a signature verification, and a genuine gateway never has one. So whoever
//! tries many learns nothing faster and keeps nobody else waiting.

use std::collections::BTreeMap;

use keysherd_base::Timestamp;
use keysherd_fragments::refusal::Refusal;

/// Wrong permits of one gateway in one second.
pub(crate) const BAD_PERMITS_PER_SECOND: u32 = 50;
/// Gateways that are counted at one time; each has at least one wrong permit in this second.
const GATEWAYS_MAX: usize = 10_000;

/// Counts the wrong permits of this second, by gateway.
#[derive(Default)]
pub(crate) struct BadPermits {
    second: i64,
    counts: BTreeMap<[u8; 32], u32>,
}

impl BadPermits {
    /// Whether a permit of this gateway is looked at.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] when it showed too many wrong ones in this second.
    pub(crate) fn check(&mut self, gateway: &[u8; 32], now: Timestamp) -> Result<(), Refusal> {
        if self.second != now.seconds() {
            self.second = now.seconds();
            self.counts.clear();
        }
        let count = self.counts.get(gateway).copied().unwrap_or(0);
        if count >= BAD_PERMITS_PER_SECOND { Err(Refusal::RateLimited) } else { Ok(()) }
    }

    /// Counts what became of a permit.
    pub(crate) fn count(&mut self, gateway: &[u8; 32], refusal: Refusal) {
        let wrong = matches!(refusal, Refusal::BadPermitSignature | Refusal::BadPermit);
        if wrong && (self.counts.len() < GATEWAYS_MAX || self.counts.contains_key(gateway)) {
            *self.counts.entry(*gateway).or_default() += 1;
        }
    }
}
