//! Folders that exist by themselves, without an item in them.

mod folder_create;
mod folder_delete;
mod folder_get;
mod folder_update;

use keysherd_wire::{Field, Text};

use crate::commands::ApiCommand;

const TYPE: Field<Text> = Field::text("type", "What kind of objects the folder holds.")
    .default("items")
    .choices(&["items"]);

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &folder_create::COMMAND,
    &folder_delete::COMMAND,
    &folder_get::COMMAND,
    &folder_update::COMMAND,
];
