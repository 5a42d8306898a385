//! Commands about the gateway that answers.

mod download_customer_fragments;
mod list_customer_fragments;

use crate::commands::ApiCommand;

/// The commands.
pub(super) static COMMANDS: &[&ApiCommand] =
    &[&list_customer_fragments::COMMAND, &download_customer_fragments::COMMAND];
