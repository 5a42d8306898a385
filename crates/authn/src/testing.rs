//! For tests of the members: a gateway's desk and an attempt at control.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use keysherd_base::{
    AccessId, AccountId, Clock as _, ClockHandle, Fault, ManualClock, RngHandle, SecretString,
    Timestamp,
};
use keysherd_crypto::random::SystemRng;

use crate::{Attempt, BoxFuture, Desk, Entrant, Outward, Web, World};

/// The time at which tests begin.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// A gateway that has no configuration.
pub(crate) struct TestDesk {
    pub(crate) time: Arc<ManualClock>,
    clock: ClockHandle,
    rng: RngHandle,
    outward: Outward,
}

impl TestDesk {
    pub(crate) fn new() -> Self {
        let time = Arc::new(ManualClock::new(NOW));
        let clock = time.clone();
        Self { time, clock, rng: SystemRng::handle(), outward: Outward::default() }
    }

    /// A control plane with the same clock.
    pub(crate) fn world(&self) -> World {
        World::new(self.clock.clone(), self.rng.clone(), Web::default())
    }

    /// An attempt at this time.
    pub(crate) fn attempt<'a>(
        &self,
        settings: &'a str,
        evidence: &'a str,
        access_id: &'a AccessId,
    ) -> Attempt<'a> {
        Attempt {
            settings,
            evidence,
            access_id,
            admitted: Some(Entrant::Machine),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            delimiters: &[],
            now: self.time.now(),
        }
    }
}

impl Desk for TestDesk {
    fn clock(&self) -> &ClockHandle {
        &self.clock
    }

    fn rng(&self) -> &RngHandle {
        &self.rng
    }

    fn admit<'a>(
        &'a self,
        _: &'a AccessId,
        _: Entrant<'a>,
    ) -> BoxFuture<'a, Result<&'a Outward, Fault>> {
        Box::pin(async { Ok(&self.outward) })
    }

    fn account(&self, _: &str, _: &AccessId) -> Option<AccountId> {
        None
    }

    fn config(&self, _: &str, _: &str, _: &AccessId) -> Result<Option<SecretString>, Fault> {
        Ok(None)
    }

    fn challenge<'a>(
        &'a self,
        _: &'a AccessId,
        _: [u8; 32],
    ) -> BoxFuture<'a, Result<Vec<u8>, Fault>> {
        Box::pin(async { Err(Fault::unavailable("this desk has no control plane")) })
    }
}

/// The access id `n`.
pub(crate) fn access_id(n: u8) -> AccessId {
    AccessId::parse(&format!("p-aaaaaaaaaaaaa{}", char::from(b'a' + n))).unwrap()
}
