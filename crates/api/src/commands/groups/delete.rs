//! `delete-group`: deletes a group.

use keysherd_base::Fault;
use keysherd_plane::groups::GroupDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-group",
        aliases: &[],
        success: 200,
        summary: "Delete a group.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "DeleteGroupOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Group {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    ctx.ask(GroupDelete { path: path.clone() }).await?;
    Answer::json(&Reply { name: path.bare() })
}
