//! Groups of bearers.

mod assignment;
mod create;
mod delete;
mod get;
mod list;
mod reply;
mod update;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] =
    &[&create::COMMAND, &delete::COMMAND, &get::COMMAND, &list::COMMAND, &update::COMMAND];
