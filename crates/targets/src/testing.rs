//! What tests of this crate share.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ManualClock, Rng, RngFailed, Timestamp};
use keysherd_egress::Egress;
use keysherd_wire::Args;

use crate::{Endpoints, Settings, Target, Way};

struct Sevens;

impl Rng for Sevens {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(7);
        Ok(())
    }
}

/// A clock that stands still, no randomness, and half a minute.
pub(crate) fn way() -> Way {
    Way {
        clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_767_607_872))),
        rng: Arc::new(Sevens),
        egress: Egress::default(),
        timeout: Duration::from_secs(30),
        identity: None,
        voucher: None,
        endpoints: Endpoints::default(),
    }
}

/// The settings of a target that is made with these arguments.
pub(crate) fn settings(target: &dyn Target, given: &[(&'static str, &str)]) -> Settings {
    let mut args = Args::new();
    for (name, value) in given {
        args.put(name, (*value).into());
    }
    target.merged(&args, Settings::default()).unwrap()
}
