//! `revoke-creds`: kills the presented token for good.

use keysherd_base::Fault;
use keysherd_plane::auth::RevokeToken;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "revoke-creds",
        aliases: &[],
        success: 200,
        summary: "Kill the presented token for good.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Sentence("The token was revoked"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    ctx.ask(RevokeToken).await?;
    Ok(Answer::empty())
}
