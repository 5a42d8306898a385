//! Commands about rotated secrets.

mod check;
mod create;
mod delete;
mod end_session;
mod get_value;
mod list;
mod older;
mod rotate;
mod shared;
mod update;

use crate::commands::ApiCommand;

/// The commands.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let own = [
        &get_value::COMMAND,
        &get_value::OLD,
        &list::COMMAND,
        &list::OLD,
        &rotate::COMMAND,
        &delete::COMMAND,
        &end_session::COMMAND,
        &check::COMMAND,
    ];
    let members = keysherd_engines::rotators::all().iter();
    members
        .flat_map(|rotator| create::of(*rotator).into_iter().chain(update::of(*rotator)))
        .chain(own)
        .chain(older::commands())
        .collect()
}
