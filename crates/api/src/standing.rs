//! Whether the gateway that answers is on standby.

use keysherd_base::{AccountId, Fault};
use keysherd_plane::BoxFuture;

/// What can be told about being on standby, and changed.
pub trait Standing: Send + Sync {
    /// Takes the gateway off standby, or puts it back; durable before this returns. Whoever wants
    /// what is the case already changes nothing.
    ///
    /// # Errors
    /// [`Fault::conflict`] for a gateway that was not started for standby, [`Fault::forbidden`]
    /// when its cluster is another account's, [`Fault::unavailable`] while that is not known.
    fn set_active(&self, account: AccountId, active: bool) -> BoxFuture<'_, Result<(), Fault>>;
}

/// A gateway that is in no cluster.
#[derive(Debug)]
pub struct NoStanding;

impl Standing for NoStanding {
    fn set_active(&self, _: AccountId, _: bool) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async {
            let fault = Fault::conflict(
                "this gateway is in no cluster; start it with --gateway-access-id and --standby",
            );
            Err(fault.with_code("Conflict"))
        })
    }
}
