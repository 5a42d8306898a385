//! `gateway-update-k8s-auth-config`: replaces how this gateway reaches a cluster.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::k8s_auth_config::{CONFIG, NAME, name, wanted};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NEW_NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-k8s-auth-config",
        aliases: &[],
        success: 201,
        summary: "Replace all that this gateway knows of a Kubernetes cluster.",
        groups: &[&SESSION, &CONFIG],
        fields: &[NAME.spec(), NEW_NAME.spec()],
        reply: "GatewayUpdateK8SAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Kubernetes configuration {name} was changed on this gateway"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let old = name(&args, &NAME)?;
    let new = args.get(&NEW_NAME)?.map_or_else(|| Ok(old.clone()), |_| name(&args, &NEW_NAME))?;
    let config = wanted(&ctx, &args, new).await?;
    ctx.services().configs.put(config, Some(&old)).await?;
    Ok(Answer::empty())
}
