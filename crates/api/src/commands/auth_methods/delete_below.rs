//! `delete-auth-methods`: deletes every auth method below a folder.

use keysherd_base::Fault;
use keysherd_plane::auth_methods::MethodsDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::kept::forget_gone;

const PATH: Field<Text> =
    Field::text("path", "Folder of the auth methods that are deleted.").required().short('p');

#[derive(Serialize)]
struct Reply<'a> {
    path: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-auth-methods",
        aliases: &[],
        success: 200,
        summary: "Delete every auth method below a folder; their tokens die at once.",
        groups: &[&SESSION],
        fields: &[PATH.spec()],
        reply: "DeleteAuthMethodsOutput",
        access: Access::Right("auth-method-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The auth methods below {path} were successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let folder = args.folder(&PATH)?;
    ctx.ask(MethodsDelete { folder: folder.clone() }).await?;
    let services = ctx.services();
    // Whether or not that succeeds the methods are gone, and the gateway does it again by itself.
    let _forgotten = forget_gone(&services.plane, ctx.caller(), &*services.configs).await;
    Answer::json(&Reply { path: folder.as_str() })
}
