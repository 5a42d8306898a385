//! `gateway-start-producer`, `gateway-stop-producer`: whether a dynamic secret gives credentials.

use keysherd_base::Fault;
use keysherd_domain::item::ItemState;
use keysherd_plane::items::ItemStateSet;
use keysherd_wire::{Access, Answer, Args, Body, Command, FieldSpec, Group, Show, Spec};
use serde::Serialize;

use super::shared::INERT;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    producer_name: &'a str,
}

static FIELDS: [FieldSpec; 1] = [NAME.spec()];
static GROUPS: [&Group; 2] = [&SESSION, &INERT];

const fn spec(
    name: &'static str,
    reply: &'static str,
    summary: &'static str,
    done: &'static str,
) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary,
        groups: &GROUPS,
        fields: &FIELDS,
        reply,
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence(done),
    }
}

/// Gives credentials again.
pub(super) static START: ApiCommand = Command {
    spec: spec(
        "gateway-start-producer",
        "GatewayStartProducerOutput",
        "Let a dynamic secret give credentials again.",
        "The dynamic secret {name} gives credentials again",
    ),
    run: &|ctx, args| Box::pin(async move { set(&ctx, &args, ItemState::Enabled).await }),
};

/// Gives none any more; those there are end when they would have.
pub(super) static STOP: ApiCommand = Command {
    spec: spec(
        "gateway-stop-producer",
        "GatewayStopProducerOutput",
        "Let a dynamic secret give no more credentials; those there are end when they would have.",
        "The dynamic secret {name} gives no more credentials",
    ),
    run: &|ctx, args| Box::pin(async move { set(&ctx, &args, ItemState::Disabled).await }),
};

async fn set(ctx: &Ctx, args: &Args, state: ItemState) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    ctx.ask(ItemStateSet { path: path.clone(), version: None, state }).await?;
    Answer::json(&Reply { producer_name: path.as_str() })
}
