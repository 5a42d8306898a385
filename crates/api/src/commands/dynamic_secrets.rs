//! Commands about dynamic secrets, and about the temporary credentials that they give.

mod create;
mod delete;
mod details;
mod get;
mod get_value;
mod kubeconfig;
mod list;
mod shared;
mod state;
mod tmp_creds_delete;
mod tmp_creds_get;
mod tmp_creds_update;
mod update;
mod validate;

use crate::commands::ApiCommand;

/// The commands.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let own = [
        &get::COMMAND,
        &get_value::COMMAND,
        &list::COMMAND,
        &delete::COMMAND,
        &delete::OLD,
        &state::START,
        &state::STOP,
        &tmp_creds_get::COMMAND,
        &tmp_creds_update::COMMAND,
        &tmp_creds_delete::COMMAND,
        &validate::COMMAND,
        &kubeconfig::COMMAND,
    ];
    keysherd_engines::all()
        .iter()
        .flat_map(|engine| create::of(*engine).into_iter().chain(update::of(*engine)))
        .chain(own)
        .collect()
}
