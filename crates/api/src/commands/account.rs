//! The account and its settings.

mod advisor;
mod get;
mod guard_rails;
mod owner;
mod settings;
mod update;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &advisor::COMMAND,
    &get::COMMAND,
    &guard_rails::GET,
    &guard_rails::UPDATE,
    &owner::SEAL,
    &owner::TRANSFER,
    &owner::UNSEAL,
    &update::COMMAND,
];
