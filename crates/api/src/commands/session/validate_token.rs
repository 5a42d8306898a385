//! `validate-token`: says whether a token is good, and until when.

use keysherd_base::Fault;
use keysherd_plane::auth::ValidateToken;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::TOKEN;

#[derive(Serialize)]
struct Reply {
    is_valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "validate-token",
        aliases: &[],
        success: 200,
        summary: "Say whether a token is good, and until when.",
        groups: &[],
        fields: &[TOKEN.spec()],
        reply: "ValidateTokenOutput",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    args.need(&TOKEN)?;
    let known = ctx.ask(ValidateToken).await?;
    Answer::json(&Reply {
        is_valid: known.reason.is_none(),
        expiration: known.expires.map(|at| at.rfc3339()),
        ttl: known.ttl_minutes,
        last_rotate: known.last_rotate.map(|at| at.rfc3339()),
        reason: known.reason,
    })
}
