//! Calls that go on without their clients, and how many each client has left behind.
//!
//! A call that was begun is finished, because it may have changed something. Whoever starts calls
//! only to leave them must not take the service from others, so each client's share is counted.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::registry::network;

/// The calls.
#[derive(Default)]
pub(crate) struct Orphans {
    tasks: TaskTracker,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Orphans {
    /// The tasks themselves, for a shutdown that waits for them.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// How many the client at `address` has left behind.
    pub(crate) fn of(&self, address: IpAddr) -> usize {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.get(&network(address)).copied().unwrap_or(0)
    }

    /// Lets `call` of a client that left go on.
    pub(crate) fn adopt(
        &self,
        address: IpAddr,
        call: impl Future + Send + 'static,
        runtime: &Handle,
    ) {
        let share = Share::of(network(address), &self.shares);
        let task = async move {
            let _share = share;
            call.await;
        };
        drop(self.tasks.spawn_on(task, runtime));
    }
}

/// One call of a client's share; given back when the call is over or dropped.
struct Share {
    client: IpAddr,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Share {
    fn of(client: IpAddr, shares: &Arc<Mutex<HashMap<IpAddr, usize>>>) -> Self {
        let mut counted = shares.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(client).or_insert(0) += 1;
        drop(counted);
        Self { client, shares: shares.clone() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counted = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counted.remove(&self.client);
            }
        }
    }
}
