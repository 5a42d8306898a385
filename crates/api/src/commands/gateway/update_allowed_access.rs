//! `gateway-update-allowed-access`: replaces what an allowed access allows.

use keysherd_base::Fault;
use keysherd_plane::gateway_access::GatewayAccessUpdate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::allowed_access::{ALLOWED, NAME, allowed, shown};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NEW_NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-allowed-access",
        aliases: &[],
        success: 200,
        summary: "Replace who an allowed access of this cluster is for, and what it allows.",
        groups: &[&SESSION, &ALLOWED],
        fields: &[NAME.spec(), NEW_NAME.spec()],
        reply: "AllowedAccess",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let update = GatewayAccessUpdate {
        name: args.need(&NAME)?,
        new_name: args.get(&NEW_NAME)?,
        allowed: allowed(&args)?,
    };
    let view = ctx.ask(update).await?;
    Answer::json(&shown(&view))
}
