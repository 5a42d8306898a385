//! Auth methods.

mod create_api_key;
mod delete;
mod delete_below;
mod email;
mod family;
mod get;
mod list;
mod reset_access_key;
mod shared;
mod update_api_key;

pub(crate) use shared::networks;

use crate::commands::ApiCommand;

/// The commands: those of the family's members after the others.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    COMMANDS
        .iter()
        .copied()
        .chain(keysherd_authn::all().iter().flat_map(|m| family::of(*m)))
        .collect()
}

static COMMANDS: &[&ApiCommand] = &[
    &create_api_key::COMMAND,
    &delete::COMMAND,
    &delete_below::COMMAND,
    &email::CREATE,
    &email::CREATE_OLDER,
    &email::UPDATE,
    &get::COMMAND,
    &list::COMMAND,
    &reset_access_key::COMMAND,
    &update_api_key::COMMAND,
];
