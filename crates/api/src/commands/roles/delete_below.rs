//! `delete-roles`: deletes every role below a folder.

use keysherd_base::Fault;
use keysherd_plane::roles::RolesDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PATH: Field<Text> =
    Field::text("path", "Folder of the roles that are deleted.").required().short('p');

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-roles",
        aliases: &[],
        success: 200,
        summary: "Delete every role below a folder, with its associations.",
        groups: &[&SESSION],
        fields: &[PATH.spec()],
        reply: "object",
        access: Access::Right("role-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The roles below {path} were successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(RolesDelete { folder: args.folder(&PATH)? }).await?;
    Ok(Answer::empty())
}
