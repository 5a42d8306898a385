//! The audit log, and what is worked out from it.

mod fields;
mod record;
mod search;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[&search::COMMAND];
