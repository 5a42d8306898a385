//! `auth-method-delete`: deletes an auth method; its tokens die at once.

use keysherd_base::Fault;
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};
use crate::kept::forget_gone;

const ALIASES: &[Alias] =
    &[Alias { name: "delete-auth-method", success: 200, reply: "DeleteAuthMethodOutput" }];

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-delete",
        aliases: ALIASES,
        success: 200,
        summary: "Delete an auth method; its tokens die at once.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "AuthMethodDeleteOutput",
        access: Access::Right("auth-method-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("Auth Method {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    ctx.ask(MethodDelete { path: path.clone() }).await?;
    let services = ctx.services();
    // Whether or not that succeeds the method is gone, and the gateway does it again by itself.
    let _forgotten = forget_gone(&services.plane, ctx.caller(), &*services.configs).await;
    Answer::json(&Reply { name: path.bare() })
}
