//! Items: static secrets and what all items have in common.

mod assoc_target_item;
mod create_secret;
mod delete_item;
mod delete_items;
mod describe_item;
mod get_secret_value;
mod get_tags;
mod list_items;
pub(super) mod lock_item;
mod move_objects;
mod reencrypt;
mod rollback_secret;
mod set_item_state;
mod unlock_item;
mod update_item;
mod update_secret_val;
mod value;

use crate::commands::ApiCommand;

pub(super) use delete_item::deleted;
pub(super) use value::{max_versions, nothing_yet};

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &assoc_target_item::CREATE,
    &assoc_target_item::DELETE,
    &create_secret::COMMAND,
    &delete_item::COMMAND,
    &delete_items::COMMAND,
    &describe_item::COMMAND,
    &get_secret_value::COMMAND,
    &get_tags::COMMAND,
    &list_items::COMMAND,
    &lock_item::COMMAND,
    &move_objects::COMMAND,
    &reencrypt::COMMAND,
    &rollback_secret::COMMAND,
    &set_item_state::COMMAND,
    &unlock_item::COMMAND,
    &update_item::COMMAND,
    &update_secret_val::COMMAND,
];
