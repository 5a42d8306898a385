//! The runtimes that connections are served on.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keysherd_base::Fault;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::config::Workers;

/// A timer of this period keeps each worker's clock running, so that arming a later one does not
/// wake it by a system call.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The runtimes; dropping the pool ends those it made.
pub(crate) struct Pool {
    /// Empty: the ambient runtime.
    workers: Vec<Worker>,
}

struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped to end the worker's thread.
    _stop: oneshot::Sender<()>,
}

/// One connection on a worker.
struct Share(Arc<AtomicUsize>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// # Errors
    /// [`Fault::internal`] when a thread or a runtime cannot be made.
    pub(crate) fn new(workers: Workers) -> Result<Self, Fault> {
        let count = match workers {
            Workers::Ambient => 0,
            Workers::Threads(count) => NonZeroUsize::get(count),
        };
        let workers = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Self { workers })
    }

    /// Whether connections move to a runtime other than the one that accepted them.
    pub(crate) fn is_ambient(&self) -> bool {
        self.workers.is_empty()
    }

    /// Runs a connection on the worker that has the fewest.
    pub(crate) fn spawn<F>(&self, tracker: &TaskTracker, connection: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let load = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(load) else {
            drop(tracker.spawn(connection));
            return;
        };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let share = Share(worker.connections.clone());
        let served = async move {
            connection.await;
            drop(share);
        };
        drop(tracker.spawn_on(served, &worker.runtime));
    }
}

fn start(index: usize) -> Result<Worker, Fault> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Fault::internal)?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name(format!("http-{index}"))
        .spawn(move || {
            runtime.block_on(async move {
                let mut heartbeat = tokio::time::interval(HEARTBEAT);
                tokio::pin!(stopped);
                loop {
                    tokio::select! {
                        _ = &mut stopped => return,
                        _ = heartbeat.tick() => {}
                    }
                }
            });
        })
        .map_err(Fault::internal)?;
    Ok(Worker { runtime: handle, connections: Arc::new(AtomicUsize::new(0)), _stop: stop })
}
