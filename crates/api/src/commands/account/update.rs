//! `update-account-settings`: changes settings of the account.

use keysherd_base::Fault;
use keysherd_plane::accounts::{AccountEdit, AccountUpdate};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::settings::{self, DEFAULT_KEY_NAME, KEPT_SETTINGS, SETTINGS};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The text that goes back to the account's original key.
const ORIGINAL_KEY: &str = "set-original-akeyless-default-key";

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-account-settings",
        aliases: &[],
        success: 200,
        summary: "Change settings of the account.",
        groups: &[&SESSION, &SETTINGS, &KEPT_SETTINGS],
        fields: &[],
        reply: "UpdateAccountSettingsOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The account settings were successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let expected = ctx.ask(AccountEdit).await?.account.settings;
    let settings = settings::apply(&args, expected.clone())?;
    let default_key = args
        .get(&DEFAULT_KEY_NAME)?
        .map(|name| (!name.eq_ignore_ascii_case(ORIGINAL_KEY)).then_some(name));
    ctx.ask(AccountUpdate { expected, settings, default_key }).await?;
    Answer::json(&Reply { updated: true })
}
