//! `folder-update`: changes what is known about a folder.

use keysherd_base::Fault;
use keysherd_plane::items::FolderUpdate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::TYPE;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{
    ACCESSIBILITY, ADD_TAG, DELETE_PROTECTION, DESCRIPTION, NAME, RM_TAG, SESSION,
};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "folder-update",
        aliases: &[],
        success: 201,
        summary: "Change what is known about a folder.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            DESCRIPTION.spec(),
            ADD_TAG.spec(),
            RM_TAG.spec(),
            DELETE_PROTECTION.spec(),
            TYPE.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Folder {name} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let update = FolderUpdate {
        path: args.folder(&NAME)?,
        description: args.get(&DESCRIPTION)?,
        add_tags: args.get(&ADD_TAG)?.unwrap_or_default(),
        remove_tags: args.get(&RM_TAG)?.unwrap_or_default(),
        delete_protection: args.get(&DELETE_PROTECTION)?,
    };
    ctx.ask(update).await?;
    Ok(Answer::empty())
}
