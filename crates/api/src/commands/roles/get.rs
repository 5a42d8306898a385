//! `get-role`: a role with its rules and auth methods.

use keysherd_base::Fault;
use keysherd_plane::roles::RoleGet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};
use crate::replies::role::RoleReply;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-role",
        aliases: &[],
        success: 200,
        summary: "Show a role with its rules and auth methods.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "Role",
        access: Access::Right("role-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let view = ctx.ask(RoleGet { path: args.path(&NAME)? }).await?;
    Answer::json(&RoleReply::new(&view))
}
