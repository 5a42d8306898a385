//! How a gateway combines the answers of managers into keys (design 5.3, 5.7).
//!
//! Sans-IO: a combiner says whom to ask, takes what arrives, and says what came of it. Reading
//! ([`ReadCombiner`]) needs t answers and lets the commitment in the ciphertext decide; writing
//! ([`WriteCombiner`]) asks all n with proofs, since nothing else could decide.

mod batch;
mod held;
mod read;
pub mod self_test;
mod write;

pub use batch::{Batch, BatchKey};
pub use held::VerifiedAnswer;
pub use read::{ReadCombiner, ReadReport, ReadStep};
pub use write::{Confirmation, WriteCombiner, WriteOutcome};

use keysherd_base::Uid;

use crate::derive::{DeriveRequest, Mode};
use crate::manager_set::{ManagerIndex, ManagerSet};

/// Whom to ask for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The round; answers are offered with it.
    pub round: u8,
    /// The managers to ask. Ask each for the same entries in this order.
    pub managers: ManagerSet,
    /// Whether with proofs.
    pub mode: Mode,
    /// Places in the batch, ascending.
    pub entries: Vec<u16>,
    /// The epochs expected of the key versions of these entries.
    pub epoch_hints: Vec<u32>,
}

impl Ask {
    /// The request to `manager` under the permit with this hash. `index_of` gives the index in the
    /// permit of a place in the batch; both must be in the same order.
    pub fn request(
        &self,
        manager: ManagerIndex,
        permit_sha256: [u8; 32],
        request_id: Uid,
        index_of: impl Fn(u16) -> u16,
    ) -> DeriveRequest {
        DeriveRequest {
            permit_sha256,
            manager,
            request_id,
            quorum: self.managers,
            entries: self.entries.iter().map(|place| index_of(*place)).collect(),
            epoch_hints: self.epoch_hints.clone(),
            mode: self.mode,
        }
    }
}
