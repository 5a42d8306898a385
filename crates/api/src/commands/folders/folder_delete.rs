//! `folder-delete`: deletes an empty folder.

use keysherd_base::Fault;
use keysherd_plane::items::FolderDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::TYPE;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "folder-delete",
        aliases: &[],
        success: 200,
        summary: "Delete an empty folder.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), TYPE.spec(), ACCESSIBILITY.spec()],
        reply: "object",
        access: Access::Right("item-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("Folder {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(FolderDelete { path: args.folder(&NAME)? }).await?;
    Ok(Answer::empty())
}
