//! What this gateway shows webhooks of itself: the access id of its cluster, signed with the key
//! that its connections prove.

use std::sync::Arc;

use keysherd_base::{AccessId, ClockHandle, Fault, ItemPath, RngHandle, SecretString, Uid};
use keysherd_crypto::sign::SigningKey;
use keysherd_engines::vouching::{Vouched, vouch};
use keysherd_engines::{Identity, Voucher};

/// A gateway of a cluster, as webhooks know it.
pub struct ClusterIdentity {
    inner: Arc<Inner>,
}

struct Inner {
    key: SigningKey,
    access_id: AccessId,
    clock: ClockHandle,
    rng: RngHandle,
}

impl ClusterIdentity {
    /// The one with this key, which works with this access id.
    pub fn new(key: &SigningKey, access_id: AccessId, clock: ClockHandle, rng: RngHandle) -> Self {
        let key = SigningKey::from_seed(key.seed());
        Self { inner: Arc::new(Inner { key, access_id, clock, rng }) }
    }
}

impl Identity for ClusterIdentity {
    fn about(&self, account: Uid, item: &ItemPath) -> Arc<dyn Voucher> {
        Arc::new(About { by: self.inner.clone(), account, item: item.clone() })
    }
}

/// Vouches in calls about one item.
struct About {
    by: Arc<Inner>,
    account: Uid,
    item: ItemPath,
}

impl Voucher for About {
    fn vouch(&self, audience: &str) -> Result<SecretString, Fault> {
        let Inner { key, access_id, clock, rng } = &*self.by;
        let vouched = Vouched {
            account: self.account,
            access_id: access_id.as_str().to_owned(),
            item: self.item.as_str().to_owned(),
            audience: audience.to_owned(),
        };
        Ok(vouch(key, &vouched, clock.now(), rng.array()?))
    }
}
