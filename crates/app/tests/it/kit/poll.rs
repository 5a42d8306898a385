//! Waiting for conditions, with a deadline; and how many servers run at one time.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use keysherd_base::{Clock, SystemClock};

/// Long enough for anything that happens at all, even on a machine that does other work.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Shortest and longest time between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(250));

/// Looks until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        let begun = Instant::now();
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {LONG:?} in vain for {what}");
        // Between two looks the machine is left to whoever is waited for: some looks are processes
        // and sessions of their own.
        std::thread::park_timeout((begun.elapsed() * 4).clamp(PAUSES.0, PAUSES.1));
    }
}

/// Looks until `holds` does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Waits for the next whole second: what is dated to the second and was made in the one in which
/// a server started counts as made before it.
pub(crate) fn next_second() {
    let second = || SystemClock.now().seconds();
    let before = second();
    wait_until("the next second", || second() > before);
}

/// Whether tests that have a short form take the long one: with `cargo xtask test --all`.
pub(crate) fn in_full() -> bool {
    std::env::var_os("KEYSHERD_TEST_ALL").is_some()
}

/// How often a test that kills somebody does so, unless `KEYSHERD_TEST_ROUNDS` says otherwise.
pub(crate) fn rounds(usual: u64) -> u64 {
    let given = std::env::var("KEYSHERD_TEST_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Whether tests of hours and minutes wait for them, instead of moving clocks: where somebody says
/// how often killing tests kill, who has the time.
pub(crate) fn in_real_time() -> bool {
    std::env::var_os("KEYSHERD_TEST_ROUNDS").is_some()
}

/// Tests that have servers at the same time.
const TURNS: usize = 3;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to run servers, given back on drop.
pub(crate) struct Turn;

impl Turn {
    /// Waits for one.
    pub(crate) fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let free = |taken: &mut usize| *taken >= TURNS;
        let waited = GIVEN_BACK.wait_while(taken, free);
        *waited.unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}

/// A number nobody can foresee; not for keys.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
