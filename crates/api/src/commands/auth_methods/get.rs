//! `auth-method-get`: what is known about an auth method.

use keysherd_base::Fault;
use keysherd_plane::auth_methods::MethodGet;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};
use crate::replies::auth_method::AuthMethodReply;

const ALIASES: &[Alias] = &[Alias { name: "get-auth-method", success: 200, reply: "AuthMethod" }];

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-get",
        aliases: ALIASES,
        success: 200,
        summary: "Show what is known about an auth method.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "AuthMethod",
        access: Access::Right("auth-method-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let view = ctx.ask(MethodGet { path: args.path(&NAME)? }).await?;
    Answer::json(&AuthMethodReply::new(&view))
}
