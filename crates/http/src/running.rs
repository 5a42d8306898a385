//! The calls under way: how many each client has, and those that go on without their clients.
//!
//! A call that was begun is finished, because it may have changed something. Whoever starts calls
//! only to leave them must not take the service from others, so each client's share is bounded,
//! whether it waits for the answers or not.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::{Fault, FaultKind, client_network};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The calls.
#[derive(Default)]
pub(crate) struct Running {
    orphans: TaskTracker,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Running {
    /// The calls whose clients went away, for a shutdown that waits for them.
    pub(crate) fn orphans(&self) -> &TaskTracker {
        &self.orphans
    }

    /// Counts one more call of the client at `address` until the returned value is dropped.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`] when `most` are under way.
    pub(crate) fn begin(&self, address: IpAddr, most: usize) -> Result<Share, Fault> {
        let client = client_network(address);
        let mut counted = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(client).or_insert(0);
        if *count >= most {
            return Err(Fault::new(
                FaultKind::RateLimited,
                format!("{most} calls from {client} are under way, which is the most; try again"),
            ));
        }
        *count += 1;
        drop(counted);
        Ok(Share { client, shares: self.shares.clone() })
    }

    /// Lets `call` of a client that left go on.
    pub(crate) fn adopt(
        &self,
        share: Option<Share>,
        call: impl Future + Send + 'static,
        runtime: &Handle,
    ) {
        let task = async move {
            let _share = share;
            call.await;
        };
        drop(self.orphans.spawn_on(task, runtime));
    }
}

/// One call of a client's share; given back when the call is over or dropped.
pub(crate) struct Share {
    client: IpAddr,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
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
