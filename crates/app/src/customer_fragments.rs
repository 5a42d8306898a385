//! Customer fragments at the command line and at the start of a gateway: making them, keeping them
//! in files, loading them.

mod ceremony;
pub(crate) mod custody;
mod file;
pub(crate) mod generate;
mod load;
pub(crate) mod module;
mod restore;
mod sealed;
pub(crate) mod source;

pub(crate) use load::{open, reload};
