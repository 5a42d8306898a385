//! The audit log, and what is worked out from it.

mod analytics;
mod checkpoint;
mod export;
mod fields;
mod record;
mod search;
mod unused;
mod unused_rights;

pub(in crate::commands) use fields::status as status_filter;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &checkpoint::COMMAND,
    &export::COMMAND,
    &search::COMMAND,
    &analytics::COMMAND,
    &unused_rights::COMMAND,
    &unused::COMMAND,
];
