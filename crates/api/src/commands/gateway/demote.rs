//! `gateway-demote`: puts a gateway back on standby.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::standing;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-demote",
        aliases: &[],
        success: 200,
        summary: "Put the gateway that answers on standby: not ready, no leases. Ours, not of the \
                  V2 API.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The gateway is on standby"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    standing::set(&ctx, false).await
}
