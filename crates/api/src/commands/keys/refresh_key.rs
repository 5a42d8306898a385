//! `refresh-key`: other fragments of the same key, so that stolen ones are of no use.

use keysherd_base::Fault;
use keysherd_plane::rotation::RotatedKey;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct Reply {
    result: &'static str,
}

/// Refreshes a key.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "refresh-key",
        aliases: &[],
        success: 200,
        summary: "Give the fragment managers other fragments of the same key; stolen ones of \
                  before combine with none of them. Done daily without asking.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "RefreshKeyOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The fragments of key {name} were refreshed"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.crypt().refresh_key(&ctx, RotatedKey::Named(args.path(&NAME)?)).await?;
    Answer::json(&Reply { result: "refreshed" })
}
