//! `delete-items`: deletes everything below a folder, or a list of items.

use std::collections::BTreeMap;

use keysherd_base::{Fault, FolderPath, ItemPath};
use keysherd_plane::items::ItemsDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, List, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PATH: Field<Text> =
    Field::text("path", "Folder whose items are deleted, with all below it.").short('p');
const ITEM: Field<List> = Field::list("item", "Paths of the items to delete.");

#[derive(Serialize)]
struct Reply<'a> {
    deleted_items: &'a [ItemPath],
    failed_deleted_items: &'a BTreeMap<String, String>,
    path: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-items",
        aliases: &[],
        success: 200,
        summary: "Delete everything below a folder, or a list of items.",
        groups: &[&SESSION],
        fields: &[PATH.spec(), ITEM.spec()],
        reply: "DeleteItemsOutput",
        access: Access::Right("item-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("Item(s) deleted successfully from {path}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.get(&PATH)?;
    let items = args.get(&ITEM)?.unwrap_or_default();
    let what = match (&path, items.is_empty()) {
        (Some(path), true) => ItemsDelete::Below(FolderPath::parse(path)?),
        (None, false) => ItemsDelete::Items(
            items.iter().map(|name| ItemPath::parse(name)).collect::<Result<_, _>>()?,
        ),
        (Some(_), false) => return Err(Fault::bad_request("give either 'path' or 'item'")),
        (None, true) => return Err(Fault::bad_request("missing required field 'path' or 'item'")),
    };
    let done = ctx.ask(what).await?;
    Answer::json(&Reply {
        deleted_items: &done.deleted,
        failed_deleted_items: &done.failed,
        path: path.as_deref().unwrap_or_default(),
    })
}
