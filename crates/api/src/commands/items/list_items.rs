//! `list-items`: the items a caller may see, by path.

use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, FolderPath, Timestamp};
use keysherd_plane::items::ItemList;
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, Flag, Int, List, Show, Spec, Text,
};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, FILTER, PAGINATION_TOKEN, SESSION};
use crate::replies::item::{ItemReply, Parts};
use crate::replies::page;

const PATH: Field<Text> =
    Field::text("path", "Only what lies directly in this folder, and its sub-folders.").short('p');
const TYPE: Field<List> =
    Field::list("type", "Only these kinds: key, static-secret and so on.").short('t');
const SUB_TYPES: Field<List> = Field::list("sub-types", "Only these sub-types.");
const TAG: Field<Text> = Field::text("tag", "Only items with exactly this tag.");
const MODIFIED_AFTER: Field<Int> =
    Field::int("modified-after", "Only items changed after this time, in seconds since 1970.");
const AUTO_PAGINATION: Field<Text> =
    Field::text("auto-pagination", "Whether one call walks all pages.")
        .default("enabled")
        .choices(&["enabled", "disabled"]);
const MINIMAL_VIEW: Field<Flag> =
    Field::flag("minimal-view", "Answers are always complete.").inert();
const CURRENT_FOLDER: Field<Flag> =
    Field::flag("current-folder", "The folder of path is always the one listed.").inert();
const SRA_ONLY: Field<Flag> = Field::flag("sra-only", "Only items with remote access.").inert();
const ADVANCED_FILTER: Field<Text> = Field::text("advanced-filter", "A filter expression.").inert();
/// Items one call returns at most; beyond it the answer has a next page, whatever was asked.
const ITEMS_PER_CALL_MAX: usize = 100_000;

#[derive(Serialize)]
struct Reply<'a> {
    items: Option<Vec<ItemReply<'a>>>,
    folders: Option<Vec<FolderPath>>,
    has_next: bool,
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "list-items",
        aliases: &[],
        success: 200,
        summary: "List the items you may see.",
        groups: &[&SESSION],
        fields: &[
            PATH.spec(),
            FILTER.spec(),
            TYPE.spec(),
            SUB_TYPES.spec(),
            TAG.spec(),
            MODIFIED_AFTER.spec(),
            PAGINATION_TOKEN.spec(),
            AUTO_PAGINATION.spec(),
            MINIMAL_VIEW.spec(),
            CURRENT_FOLDER.spec(),
            SRA_ONLY.spec(),
            ADVANCED_FILTER.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "ListItemsInPathOutput",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Table(
            "items",
            &[
                ("NAME", "item_name"),
                ("TYPE", "item_type"),
                ("VERSION", "last_version"),
                ("MODIFIED", "modification_date"),
                ("STATE", "item_state"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let folder = args.get(&PATH)?.map(|path| FolderPath::parse(&path)).transpose()?;
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?;
    let one_page = args.get(&AUTO_PAGINATION)?.is_some_and(|v| v.eq_ignore_ascii_case("disabled"))
        || after.is_some();
    let limit = if one_page { PAGE_LEN } else { ITEMS_PER_CALL_MAX };
    let list = ItemList {
        folder,
        filter: args.get(&FILTER)?,
        kinds: args.get(&TYPE)?.unwrap_or_default(),
        secret_kinds: args.get(&SUB_TYPES)?.unwrap_or_default(),
        tag: args.get(&TAG)?,
        modified_after: args.get(&MODIFIED_AFTER)?.filter(|s| *s > 0).map(Timestamp::from_seconds),
        after,
        limit: Some(limit),
    };
    let listed = ctx.ask(list).await?;
    // A page always names what follows it, even the last one: clients stop at an empty page.
    let next_page = match listed.items.last() {
        Some(last) if one_page || listed.more => page::token(last.item.path.as_str())?,
        _ => String::new(),
    };
    let parts = Parts::default();
    let items: Vec<_> = listed.items.iter().map(|view| ItemReply::new(view, parts)).collect();
    Answer::json(&Reply {
        items: (!items.is_empty()).then_some(items),
        folders: (!listed.folders.is_empty()).then_some(listed.folders),
        has_next: listed.more,
        next_page,
    })
}
