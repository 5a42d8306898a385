//! Protection keys: making them, and using them on messages.

mod batch;
mod create_dfc_key;
mod decrypt;
mod encrypt;
mod message;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &create_dfc_key::COMMAND,
    &decrypt::COMMAND,
    &batch::DECRYPT,
    &encrypt::COMMAND,
    &batch::ENCRYPT,
];
