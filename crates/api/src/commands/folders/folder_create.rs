//! `folder-create`: creates an empty folder.

use keysherd_base::Fault;
use keysherd_plane::items::FolderCreate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::TYPE;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, DELETE_PROTECTION, DESCRIPTION, NAME, SESSION, TAGS};

#[derive(Serialize)]
struct Reply {
    folder_id: i64,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "folder-create",
        aliases: &[],
        success: 201,
        summary: "Create an empty folder.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            DESCRIPTION.spec(),
            TAGS.spec(),
            DELETE_PROTECTION.spec(),
            TYPE.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "FolderCreateOutput",
        access: Access::Right("item-rule", "create"),
        body: Body::Object,
        show: Show::Sentence("A new folder named {name} was successfully created"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let create = FolderCreate {
        path: args.folder(&NAME)?,
        description: args.get(&DESCRIPTION)?.unwrap_or_default(),
        tags: args.get(&TAGS)?.unwrap_or_default(),
        delete_protection: args.get(&DELETE_PROTECTION)?,
    };
    let view = ctx.ask(create).await?;
    Answer::json(&Reply { folder_id: view.folder.id })
}
