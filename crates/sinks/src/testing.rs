//! What tests of this crate share.

use std::sync::Arc;

use keysherd_audit::{Draft, Param, Record};
use keysherd_base::{AccessId, AccountId, ManualClock, RequestId, Rng, RngFailed, Timestamp, Uid};

use keysherd_egress::Egress;

use crate::{Line, Way};

/// When everything happens: 2026-01-05T10:11:12.345Z.
pub(crate) const NOW: Timestamp = Timestamp(1_767_607_872_345);

struct Sevens;

impl Rng for Sevens {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(7);
        Ok(())
    }
}

/// A clock that stands still, and no randomness.
pub(crate) fn way() -> Way {
    let (clock, egress) = (Arc::new(ManualClock::new(NOW)), Egress::default());
    Way::new(clock, Arc::new(Sevens), egress)
}

/// A record.
pub(crate) fn line(seq: u64) -> Line {
    let account = AccountId(Uid([1; 16]));
    let request = RequestId::parse(&"02".repeat(16)).unwrap();
    let command = "get-secret-value".into();
    let mut draft = Draft::new(account, request, command, "get_secret_value", NOW);
    draft.access_id = Some(AccessId::parse("p-abcdefghijkl").unwrap());
    draft.component = "control/items".into();
    draft.params = vec![Param::public("item_name", "/a/b"), Param::redacted("value")];
    Line { record: Record { seq, time: NOW, status: 200, error: None, duration_us: 12_000, draft } }
}
