//! Commands about targets: the systems that dynamic and rotated secrets work on.

mod delete;
mod family;
mod get;
mod get_details;
mod list;
mod stored;

use crate::commands::ApiCommand;

/// The commands.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let own = [&get::COMMAND, &get_details::COMMAND, &list::COMMAND, &delete::COMMAND];
    keysherd_targets::all().iter().flat_map(|target| family::of(*target)).chain(own).collect()
}
