//! Commands about targets: the systems that dynamic and rotated secrets work on.

mod delete;
mod delete_many;
mod family;
mod get;
mod get_details;
mod list;
mod lock;
mod stored;

use crate::commands::ApiCommand;

/// The commands.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let own = [
        &get::COMMAND,
        &get_details::COMMAND,
        &list::COMMAND,
        &delete::COMMAND,
        &delete_many::COMMAND,
        &lock::LOCK,
        &lock::UNLOCK,
    ];
    keysherd_targets::all().iter().flat_map(|target| family::of(*target)).chain(own).collect()
}
