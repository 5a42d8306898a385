//! `target-list`: the targets a caller may see, by path.

use keysherd_base::Fault;
use keysherd_base::limits::PAGE_LEN;
use keysherd_domain::item::ItemKind;
use keysherd_plane::items::ItemList;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, List, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{FILTER, PAGINATION_TOKEN, SESSION};
use crate::replies::page;
use crate::replies::target::TargetReply;

const TYPE: Field<List> = Field::list("type", "Only these types: postgres, mysql and so on.");

#[derive(Serialize)]
struct Reply<'a> {
    targets: Vec<TargetReply<'a>>,
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "target-list",
        aliases: &[Alias { name: "list-targets", success: 200, reply: "ListTargetsOutput" }],
        success: 200,
        summary: "List the targets you may see.",
        groups: &[&SESSION],
        fields: &[FILTER.spec(), TYPE.spec(), PAGINATION_TOKEN.spec()],
        reply: "ListTargetsOutput",
        access: Access::Listing("target-rule"),
        body: Body::Object,
        show: Show::Table(
            "targets",
            &[
                ("NAME", "target_name"),
                ("TYPE", "target_type"),
                ("VERSION", "last_version"),
                ("MODIFIED", "modification_date"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?;
    let list = ItemList {
        folder: None,
        filter: args.get(&FILTER)?,
        kinds: vec![ItemKind::Target.filter_name().to_owned()],
        secret_kinds: args.get(&TYPE)?.unwrap_or_default(),
        tag: None,
        modified_after: None,
        after,
        limit: Some(PAGE_LEN),
    };
    let listed = ctx.ask(list).await?;
    let next_page = match listed.items.last() {
        Some(last) if listed.more => page::token(last.item.path.as_str())?,
        _ => String::new(),
    };
    let targets = listed.items.iter().map(TargetReply::new).collect::<Result<_, _>>()?;
    Answer::json(&Reply { targets, next_page })
}
