//! Roles, their rules and associations, and questions about permissions.

mod administrative;
mod assoc_create;
mod assoc_delete;
mod assoc_describe;
mod assoc_update;
mod condition;
mod create;
mod delete;
mod delete_below;
mod delete_rule;
mod describe_permissions;
mod explain;
mod get;
mod list;
mod merge;
mod object_kind;
mod reverse_rbac;
mod rule;
mod set_rule;
mod update;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &assoc_create::COMMAND,
    &assoc_delete::COMMAND,
    &assoc_describe::COMMAND,
    &assoc_update::COMMAND,
    &create::COMMAND,
    &delete::COMMAND,
    &delete_below::COMMAND,
    &delete_rule::COMMAND,
    &describe_permissions::COMMAND,
    &explain::COMMAND,
    &get::COMMAND,
    &list::COMMAND,
    &merge::COMMAND,
    &reverse_rbac::COMMAND,
    &set_rule::COMMAND,
    &update::COMMAND,
];
