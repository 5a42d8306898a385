//! Commands about the gateway that answers.

mod apply_owner_order;
mod describe_key_fragments;
mod download_customer_fragments;
mod list_customer_fragments;

use crate::commands::ApiCommand;

/// The commands.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &list_customer_fragments::COMMAND,
    &download_customer_fragments::COMMAND,
    &apply_owner_order::COMMAND,
    &describe_key_fragments::COMMAND,
];
