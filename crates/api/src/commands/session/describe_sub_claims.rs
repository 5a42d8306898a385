//! `describe-sub-claims`: the claims on a token.

use keysherd_base::Fault;
use keysherd_domain::claims::SubClaims;
use keysherd_plane::auth::DescribeClaims;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    sub_claims: SubClaims,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "describe-sub-claims",
        aliases: &[],
        success: 200,
        summary: "Show the claims on a token.",
        groups: &[&SESSION],
        fields: &[],
        reply: "DescribeSubClaimsOutput",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let sub_claims = ctx.ask(DescribeClaims).await?.claims;
    Answer::json(&Reply { sub_claims })
}
