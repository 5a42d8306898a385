//! The vocabulary every other crate speaks: ids, item paths, time, limits, secrets and faults.
//!
//! No IO and no dependencies on other workspace crates. Time and randomness are handed in through
//! [`Clock`] and [`Rng`]; the only reading of the system clock is [`SystemClock`].

mod clock;
mod fault;
mod ids;
pub mod interval;
pub mod limits;
mod network;
mod path;
mod rng;
mod secret;
mod uid_token_id;

pub use clock::{Clock, ClockHandle, ManualClock, SystemClock, Timestamp};
pub use fault::{Fault, FaultKind};
pub use ids::{AccessId, AccountId, AssocId, BadId, DisplayId, ItemId, KeyId, RequestId, Uid};
pub use network::client_network;
pub use path::{BadPath, FolderPath, ItemPath};
pub use rng::{Rng, RngFailed, RngHandle};
pub use secret::{Secret, SecretBuffer, SecretBytes, SecretString, Wiped};
pub use uid_token_id::{UID_TREE_LEVELS_MAX, UidTokenId};
