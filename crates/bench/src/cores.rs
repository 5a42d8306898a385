//! Which core the server runs on, and which the client.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core for each side, so that neither takes time from the other.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    server: CpuSet,
    client: CpuSet,
}

impl Cores {
    /// The first two cores this process may use, with the client moved to the second; `None` when
    /// there is only one.
    ///
    /// # Errors
    /// When the system does not say or allow it.
    pub(crate) fn take() -> Result<Option<Self>, String> {
        let failed = |error| format!("cannot choose cores: {error}");
        let allowed = sched_getaffinity(None).map_err(failed)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).map(only);
        let (Some(server), Some(client)) = (cores.next(), cores.next()) else { return Ok(None) };
        sched_setaffinity(None, &client).map_err(failed)?;
        Ok(Some(Self { server, client }))
    }

    /// Runs `start`, whose child processes get the server's core with all their threads.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn for_server<T>(self, start: impl FnOnce() -> T) -> Result<T, String> {
        let failed = |error| format!("cannot choose cores: {error}");
        // A process inherits the cores of the thread that makes it.
        sched_setaffinity(None, &self.server).map_err(failed)?;
        let started = start();
        sched_setaffinity(None, &self.client).map_err(failed)?;
        Ok(started)
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
