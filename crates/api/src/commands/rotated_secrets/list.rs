//! `rotated-secret-list`: the rotated secrets a caller may see.

use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, ItemId};
use keysherd_domain::credential_rotation::Outcome;
use keysherd_domain::item::{ItemKind, ItemState};
use keysherd_plane::items::ItemList;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
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

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let mut producers = Vec::new();
    let mut after = None;
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
        producers.extend(page.items.into_iter().map(|view| {
            Producer {
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
            }
        }));
        if !page.more || producers.len() >= SHOWN_MAX {
            return Answer::json(&Reply { producers });
        }
    }
}
