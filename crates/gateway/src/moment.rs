//! Time by two clocks. A wall clock can be set, and one that only runs forward may stand still when
//! the machine sleeps; so the one that says more counts, and one that went back makes everything
//! that is measured with it too old.

use std::time::Duration;

use keysherd_base::{ClockHandle, Timestamp};
use tokio::time::Instant;

/// What the running clock shows when it is taken up: moments before that have a place, too.
const BASE: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The wall clock.
    pub(crate) wall: Timestamp,
    /// The one that only runs forward: three days, and the time since the clocks were taken up.
    pub(crate) run: Duration,
}

impl Moment {
    /// How long ago `earlier` was, by the clock that says more; `None` when one went back.
    pub(crate) fn since(self, earlier: Self) -> Option<Duration> {
        let wall = u64::try_from(self.wall.millis_since(earlier.wall)).ok()?;
        Some(self.run.checked_sub(earlier.run)?.max(Duration::from_millis(wall)))
    }

    /// The moment so long before, also when that was before this process; `None` for more than
    /// [`BASE`] ago.
    pub(crate) fn before(self, ago: Duration) -> Option<Self> {
        let wall = self.wall.0.checked_sub(i64::try_from(ago.as_millis()).ok()?)?;
        Some(Self { wall: Timestamp(wall), run: self.run.checked_sub(ago)? })
    }
}

/// Both clocks.
pub(crate) struct Clocks {
    wall: ClockHandle,
    started: Instant,
}

impl Clocks {
    /// Takes them up. Moments of other clocks mean nothing beside theirs.
    pub(crate) fn new(wall: ClockHandle) -> Self {
        Self { wall, started: Instant::now() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Moment {
        Moment { wall: self.wall.now(), run: BASE + self.started.elapsed() }
    }
}
