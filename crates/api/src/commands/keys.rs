//! Protection keys: making them, and using them on messages.

mod batch;
mod create_dfc_key;
mod decrypt;
mod encrypt;
mod message;
mod refresh_key;
mod rewrap_status;
mod rotate_key;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &create_dfc_key::COMMAND,
    &decrypt::COMMAND,
    &batch::DECRYPT,
    &encrypt::COMMAND,
    &batch::ENCRYPT,
    &refresh_key::COMMAND,
    &rewrap_status::COMMAND,
    &rewrap_status::ORIGINAL,
    &rotate_key::COMMAND,
    &rotate_key::ORIGINAL,
];
