//! What the two commands about the cache share: how it is shown.

use serde::Serialize;

use crate::caching::CachePolicy;

/// The cache, as the V2 API has it (`CacheConfigPart`); the key of its file is never shown.
#[derive(Serialize)]
pub(super) struct CachePart {
    cache_enable: bool,
    cache_ttl: String,
    new_proactive_cache_enable: bool,
    proactive_cache_dump_interval: String,
    proactive_cache_enable: bool,
    proactive_cache_minimum_fetching_time: String,
}

impl CachePart {
    /// Shows `policy`.
    pub(super) fn of(policy: &CachePolicy) -> Self {
        Self {
            cache_enable: policy.enabled,
            cache_ttl: policy.ttl_minutes.to_string(),
            // There is one kind of it, whatever it is switched on by.
            new_proactive_cache_enable: policy.proactive,
            proactive_cache_dump_interval: policy.backup_minutes.to_string(),
            proactive_cache_enable: policy.proactive,
            proactive_cache_minimum_fetching_time: policy.fetch_minutes.to_string(),
        }
    }
}
