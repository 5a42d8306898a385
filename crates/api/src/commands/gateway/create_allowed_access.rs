//! `gateway-create-allowed-access`: lets others than administrators configure the cluster.

use keysherd_base::Fault;
use keysherd_plane::gateway_access::GatewayAccessCreate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::allowed_access::{ALLOWED, NAME, allowed, shown};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-create-allowed-access",
        aliases: &[],
        success: 200,
        summary: "Allow bearers of an auth method to configure parts of this gateway's cluster.",
        groups: &[&SESSION, &ALLOWED],
        fields: &[NAME.spec()],
        reply: "AllowedAccess",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let create = GatewayAccessCreate { name: args.need(&NAME)?, allowed: allowed(&args)? };
    let view = ctx.ask(create).await?;
    Answer::json(&shown(&view))
}
