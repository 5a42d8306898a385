//! The account and its settings.

mod get;
mod settings;
mod update;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[&get::COMMAND, &update::COMMAND];
