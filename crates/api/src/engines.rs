//! Dynamic secrets: what is sealed of one, opening it, and making temporary credentials.
//!
//! The settings of a secret are its sealed value, all of them; what control must know to decide
//! and to list stands beside it in the clear. Targets are opened for their secrets without anybody
//! having a right to read them: nothing of them is in an answer, and a secret names in its sealed
//! settings which target it means, so control cannot put another one in its place.

mod creations;
mod linked;
mod produce;
mod rotated;
mod sealed;
mod trial;

pub use creations::Creations;
pub use linked::{BroughtMany, LinkedRotation, OpenedRotation};
pub(crate) use produce::Asker;
pub use produce::{Asked, Produced, produce};
pub use rotated::{Leaving, OpenedRotated, Rotation};
pub use sealed::{OpenedSecret, OpenedTarget, Sealed};
pub(crate) use trial::{trial, trial_of_change};
