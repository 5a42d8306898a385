//! `rotated-secret-list`: the rotated secrets a caller may see; `gateway-list-rotated-secrets`
//! shows them as items.

use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, ItemId};
use keysherd_domain::credential_rotation::Outcome;
use keysherd_domain::item::{ItemKind, ItemState};
use keysherd_plane::items::{ItemList, ItemView};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::replies::item::{ItemReply, Parts};

/// Most secrets of one answer: the command knows no pages.
const SHOWN_MAX: usize = 100_000;

#[derive(Serialize)]
struct Reply {
    producers: Vec<Producer>,
}

/// The model `ListItemsOutput`.
#[derive(Serialize)]
struct Items<'a> {
    items: Vec<ItemReply<'a>>,
    has_next: bool,
    next_page: &'static str,
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
    #[serde(skip_serializing_if = "String::is_empty")]
    failure_message: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rotated-secret-list",
        aliases: &[],
        success: 200,
        summary: "List the rotated secrets you may see.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GetProducersListReplyObj",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Table(
            "producers",
            &[("NAME", "name"), ("TYPE", "type"), ("FAILURE", "failure_message")],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

/// The older spelling, which shows items.
pub(super) static OLD: ApiCommand = Command {
    spec: Spec {
        name: "gateway-list-rotated-secrets",
        aliases: &[],
        success: 200,
        summary: "List the rotated secrets you may see as items.",
        groups: &[&SESSION],
        fields: &[],
        reply: "ListItemsOutput",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Table(
            "items",
            &[("NAME", "item_name"), ("VERSION", "last_version"), ("STATE", "item_state")],
        ),
    },
    run: &|ctx, args| Box::pin(as_items(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let (views, _) = views(&ctx).await?;
    let producers = views.into_iter().map(|view| Producer {
        id: view.item.id,
        name: view.item.path.as_str().to_owned(),
        kind: view.item.rotation.map(|facts| facts.rotator).unwrap_or_default(),
        active: view.item.state == ItemState::Enabled,
        init: true,
        failure_message: view
            .rotation
            .filter(|standing| standing.outcome == Outcome::Failed)
            .map(|standing| standing.last_error)
            .unwrap_or_default(),
    });
    Answer::json(&Reply { producers: producers.collect() })
}

async fn as_items(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let (views, has_next) = views(&ctx).await?;
    let items = views.iter().map(|view| ItemReply::new(view, Parts::default())).collect();
    Answer::json(&Items { items, has_next, next_page: "" })
}

/// The secrets, and whether there are more.
async fn views(ctx: &Ctx) -> Result<(Vec<ItemView>, bool), Fault> {
    let (mut views, mut after) = (Vec::new(), None);
    loop {
        let list = ItemList {
            folder: None,
            filter: None,
            kinds: vec![ItemKind::RotatedSecret.filter_name().to_owned()],
            secret_kinds: Vec::new(),
            tag: None,
            modified_after: None,
            after: after.take(),
            limit: Some(PAGE_LEN),
        };
        let page = ctx.ask(list).await?;
        after = page.items.last().map(|view| view.item.path.as_str().to_owned());
        views.extend(page.items);
        if !page.more || views.len() >= SHOWN_MAX {
            return Ok((views, page.more));
        }
    }
}
