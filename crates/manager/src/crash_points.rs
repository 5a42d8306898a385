//! Named points at which tests kill a manager. Outside of tests they do nothing.

use keysherd_fragments::refusal::Refusal;

use crate::manager::Manager;

/// Where this manager is to be killed, and whether it was.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct CrashPoints {
    armed: std::sync::Mutex<Option<(&'static str, u32)>>,
    dead: std::sync::atomic::AtomicBool,
}

#[cfg(not(test))]
impl Manager {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")]
    pub(crate) const fn crash_point(&self, _name: &'static str) -> Result<(), Refusal> {
        Ok(())
    }
}

#[cfg(test)]
impl Manager {
    /// Fails when the manager is to be killed here, and ever after.
    pub(crate) fn crash_point(&self, name: &'static str) -> Result<(), Refusal> {
        use std::sync::atomic::Ordering;
        let mut armed = crate::manager::lock(&self.crash_points.armed);
        if let Some((at, visits)) = armed.as_mut().filter(|(at, _)| *at == name) {
            *visits -= 1;
            if *visits == 0 {
                tracing::info!(at, "killed");
                self.crash_points.dead.store(true, Ordering::Release);
                *armed = None;
            }
        }
        let dead = self.crash_points.dead.load(Ordering::Acquire);
        if dead { Err(Refusal::BadRecord) } else { Ok(()) }
    }

    /// Has the manager killed at its `visit`th coming to this point.
    pub(crate) fn arm(&self, name: &'static str, visit: u32) {
        *crate::manager::lock(&self.crash_points.armed) = Some((name, visit));
    }

    /// Whether it was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.crash_points.dead.load(std::sync::atomic::Ordering::Acquire)
    }
}
