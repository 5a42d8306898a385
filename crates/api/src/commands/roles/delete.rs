//! `delete-role`: deletes a role and its associations.

use keysherd_base::Fault;
use keysherd_plane::roles::RoleDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-role",
        aliases: &[],
        success: 200,
        summary: "Delete a role and its associations.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "object",
        access: Access::Right("role-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("Role {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(RoleDelete { path: args.path(&NAME)? }).await?;
    Ok(Answer::empty())
}
