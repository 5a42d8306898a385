//! Auth methods.

mod create_api_key;
mod delete;
mod get;
mod list;
mod reset_access_key;
mod shared;
mod update_api_key;

pub(crate) use shared::networks;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &create_api_key::COMMAND,
    &delete::COMMAND,
    &get::COMMAND,
    &list::COMMAND,
    &reset_access_key::COMMAND,
    &update_api_key::COMMAND,
];
