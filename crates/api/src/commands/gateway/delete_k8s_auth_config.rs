//! `gateway-delete-k8s-auth-config`: forgets a cluster.

use keysherd_authn::K8S_CONFIG;
use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::k8s_auth_config::{NAME, absent, admitted, name};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-delete-k8s-auth-config",
        aliases: &[],
        success: 201,
        summary: "Make this gateway forget a Kubernetes cluster.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "GatewayDeleteK8SAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Kubernetes configuration {name} was deleted from this gateway"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let name = name(&args, &NAME)?;
    let account = admitted(&ctx, None).await?;
    if ctx.services().configs.remove(account, K8S_CONFIG, &name).await? {
        return Ok(Answer::empty());
    }
    Err(absent(&name))
}
