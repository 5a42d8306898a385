//! `gateway-get-cache`: which reads gateways answer without asking control.

use keysherd_base::Fault;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::cache::CachePart;
use crate::caching::CachePolicy;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-cache",
        aliases: &[],
        success: 200,
        summary: "Show how the reads of the account are kept at this gateway or its cluster.",
        groups: &[&SESSION],
        fields: &[],
        reply: "CacheConfigPart",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    Answer::json(&CachePart::of(&CachePolicy::of(ctx.services(), account)?))
}
