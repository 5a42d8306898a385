//! `get-group`: a group and who is in it.

use keysherd_base::Fault;
use keysherd_plane::groups::GroupGet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::reply::GroupReply;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-group",
        aliases: &[],
        success: 200,
        summary: "Show a group and who is in it.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "GetGroupOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let group = ctx.ask(GroupGet { path: args.path(&NAME)? }).await?;
    Answer::json(&GroupReply::new(&group))
}
