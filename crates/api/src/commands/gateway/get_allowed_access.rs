//! `gateway-get-allowed-access`: shows who may configure the cluster by it.

use keysherd_base::Fault;
use keysherd_plane::gateway_access::GatewayAccessGet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::allowed_access::{NAME, shown};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-allowed-access",
        aliases: &[],
        success: 200,
        summary: "Show an allowed access of this gateway's cluster.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "AllowedAccess",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let view = ctx.ask(GatewayAccessGet { name: args.need(&NAME)? }).await?;
    Answer::json(&shown(&view))
}
