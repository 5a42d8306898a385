//! `folder-get`: what is known about a folder.

use keysherd_base::Fault;
use keysherd_plane::items::FolderGet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::TYPE;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    folder: Shown<'a>,
}

#[derive(Serialize)]
struct Shown<'a> {
    folder_id: i64,
    folder_name: &'a str,
    accessibility: u8,
    metadata: &'a str,
    tags: &'a [String],
    delete_protection: bool,
    creation_date: String,
    modification_date: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "folder-get",
        aliases: &[],
        success: 200,
        summary: "Show what is known about a folder.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), TYPE.spec(), ACCESSIBILITY.spec()],
        reply: "FolderGetOutput",
        access: Access::Right("item-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let folder = ctx.ask(FolderGet { path: args.folder(&NAME)? }).await?.folder;
    Answer::json(&Reply {
        folder: Shown {
            folder_id: folder.id,
            folder_name: folder.path.as_str(),
            accessibility: 0,
            metadata: &folder.description,
            tags: &folder.tags,
            delete_protection: folder.delete_protection,
            creation_date: folder.created.rfc3339(),
            modification_date: folder.modified.rfc3339(),
        },
    })
}
