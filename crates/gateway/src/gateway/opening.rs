//! The parts that a gateway is put together from.

use std::path::Path;
use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_plane::PlaneHandle;

use super::GatewayConfig;
use crate::cache::ahead::read_ahead;
use crate::cache::cold::keep_copy;
use crate::cache::{ObservedPlane, ReadCache};
use crate::derive::Derivations;
use crate::key_cache::KeyCache;
use crate::logs;
use crate::managers::Managers;
use crate::reader::{Reader, ReaderParts};

/// The reader, which reads ahead from now on where reads are kept; and a copy of them is kept on
/// disk, where there may be one.
pub(super) fn reading(parts: ReaderParts, derivations: &Arc<Derivations>) -> Arc<Reader> {
    let (reads, keys) = (parts.cache.clone(), Arc::downgrade(&parts.keys));
    let reader = Arc::new(Reader::new(parts));
    if let Some(reads) = &reads {
        tokio::spawn(read_ahead(Arc::downgrade(&reader), Arc::downgrade(reads)));
        tokio::spawn(keep_copy(Arc::downgrade(reads), keys, Arc::downgrade(derivations)));
    }
    reader
}

/// The managers, whose logs are watched from now on, and kept in `home`.
pub(super) fn watched(managers: Managers, home: Option<&Path>) -> Arc<Managers> {
    let managers = Arc::new(managers);
    if let Some(home) = home {
        managers.logs.keep_in(home, &managers);
    }
    tokio::spawn(logs::watch(Arc::downgrade(&managers)));
    managers
}

/// The cache of opened keys, within the owner's bound.
pub(super) fn open_keys(config: &GatewayConfig) -> Result<Arc<KeyCache>, Fault> {
    let keys = KeyCache::new(config.clock.clone(), &*config.rng, config.key_cache_seconds)?;
    keys.bound(config.bundle.bundle().cache_ttl_seconds_max);
    Ok(Arc::new(keys))
}

/// The cache, where there is a directory for it, and the way to control that it watches.
pub(super) fn open_cache(
    config: &GatewayConfig,
) -> Result<(Option<Arc<ReadCache>>, PlaneHandle), Fault> {
    let GatewayConfig { plane, clock, rng, cache, home, .. } = config;
    let Some(home) = home.as_deref() else { return Ok((None, plane.clone())) };
    let copy = config.copy_key.as_ref();
    let copy = copy.map(|key| (key, config.instance.public().spki_sha256()));
    let reads = ReadCache::start(*cache, (home, copy), plane, clock.clone(), rng.clone())?;
    let observed = ObservedPlane::handle(plane.clone(), reads.clone());
    Ok((Some(reads), observed))
}
