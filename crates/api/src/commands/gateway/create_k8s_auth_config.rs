//! `gateway-create-k8s-auth-config`: how this gateway reaches a cluster.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::k8s_auth_config::{CONFIG, NAME, name, wanted};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-create-k8s-auth-config",
        aliases: &[],
        success: 201,
        summary: "Tell this gateway how to have tokens of a Kubernetes cluster reviewed.",
        groups: &[&SESSION, &CONFIG],
        fields: &[NAME.spec()],
        reply: "GatewayCreateK8SAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Kubernetes configuration {name} was created on this gateway"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let config = wanted(&ctx, &args, name(&args, &NAME)?).await?;
    ctx.services().configs.put(config, None).await?;
    Ok(Answer::empty())
}
