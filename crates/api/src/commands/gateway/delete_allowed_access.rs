//! `gateway-delete-allowed-access`: ends what it allowed.

use keysherd_base::Fault;
use keysherd_plane::gateway_access::GatewayAccessDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::allowed_access::NAME;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    allowed_access_name: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-delete-allowed-access",
        aliases: &[],
        success: 200,
        summary: "Delete an allowed access of this gateway's cluster.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "GatewayDeleteAllowedAccessOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Allowed access {allowed_access_name} was deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let allowed_access_name = args.need(&NAME)?;
    ctx.ask(GatewayAccessDelete { name: allowed_access_name.clone() }).await?;
    Answer::json(&Reply { allowed_access_name })
}
