//! `dynamic-secret-list`: the dynamic secrets a caller may see.

use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, ItemId};
use keysherd_domain::item::{ItemKind, ItemState};
use keysherd_plane::items::{ItemList, ItemView};
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// Most secrets of one answer: the command knows no pages.
const SHOWN_MAX: usize = 100_000;

#[derive(Serialize)]
struct Reply {
    producers: Vec<Producer>,
}

/// The model `Producer`.
#[derive(Serialize)]
struct Producer {
    id: ItemId,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    active: bool,
    init: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-list",
        aliases: &[Alias {
            name: "gateway-list-producers",
            success: 200,
            reply: "GetProducersListReplyObj",
        }],
        success: 200,
        summary: "List the dynamic secrets you may see.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GetProducersListReplyObj",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Table("producers", &[("NAME", "name"), ("TYPE", "type"), ("ACTIVE", "active")]),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let producers = listed(&ctx).await?.into_iter().map(|view| Producer {
        id: view.item.id,
        name: view.item.path.as_str().to_owned(),
        kind: view.item.engine.map(|facts| facts.engine).unwrap_or_default(),
        active: view.item.state == ItemState::Enabled,
        init: true,
    });
    Answer::json(&Reply { producers: producers.collect() })
}

/// The dynamic secrets that the caller may see, at most [`SHOWN_MAX`], by path.
///
/// # Errors
/// Control's refusal.
pub(super) async fn listed(ctx: &Ctx) -> Result<Vec<ItemView>, Fault> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let list = ItemList {
            folder: None,
            filter: None,
            kinds: vec![ItemKind::DynamicSecret.filter_name().to_owned()],
            secret_kinds: Vec::new(),
            tag: None,
            modified_after: None,
            after: after.take(),
            limit: Some(PAGE_LEN),
        };
        let page = ctx.ask(list).await?;
        after = page.items.last().map(|view| view.item.path.as_str().to_owned());
        found.extend(page.items);
        if !page.more || found.len() >= SHOWN_MAX {
            return Ok(found);
        }
    }
}
