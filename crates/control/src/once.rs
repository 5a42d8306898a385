//! What counts once at whichever node it is shown: proofs of logins, in the store that several
//! control planes share.
//!
//! A control plane that is alone remembers them in memory, which is faster, and refuses what was
//! made before it started; see `nonces` and [`keysherd_authn::World`].

use keysherd_authn::UsedOnce;
use keysherd_base::{Fault, Timestamp};
use keysherd_store::{Store, used_proofs};

/// How far the clocks of nodes may be apart, in seconds: a proof is remembered so much longer than
/// the clock of the node that took it wants.
const SKEW_SECONDS: i64 = 600;

/// The proofs that any node has taken.
pub(crate) struct InStore(pub(crate) Store);

impl UsedOnce for InStore {
    fn take(&self, mark: [u8; 16], until: Timestamp) -> Result<bool, Fault> {
        let until = until.plus_seconds(SKEW_SECONDS);
        self.0.commit_now(Vec::new(), move |tx| used_proofs::take(tx, &mark, until))
    }
}
