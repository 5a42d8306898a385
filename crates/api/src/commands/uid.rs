//! Universal identity: tokens that live by being rotated.

mod create_child;
mod fields;
mod generate;
mod list_children;
mod revoke;
mod rotate;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &create_child::COMMAND,
    &generate::COMMAND,
    &list_children::COMMAND,
    &revoke::COMMAND,
    &rotate::COMMAND,
];
