//! For tests: a whole deployment in one process. Control, three fragment managers and a gateway are
//! the real ones; between them are links and a plane that misbehave when a test wants it.
//!
//! Control and managers run beside the runtime of the test, which counts as work for a paused
//! clock: it advances only when nobody but timers is left.

mod links;
mod plane;
mod rig;
mod steps;

pub use links::{Conduct, ScriptedLink, ScriptedModule};
pub use plane::{Tamper, TamperedPlane};
pub use rig::{FRAGMENT, Rig, Settings};
pub use steps::Steps;
