//! `gateway-get-k8s-auth-config`: what this gateway knows of a cluster.

use keysherd_authn::{K8S_CONFIG, K8sConfig};
use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::k8s_auth_config::{NAME, absent, admitted, name, shown};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-k8s-auth-config",
        aliases: &[],
        success: 201,
        summary: "Show what this gateway knows of a Kubernetes cluster, without its secrets.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "GatewayGetK8SAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let name = name(&args, &NAME)?;
    let account = admitted(&ctx, None).await?;
    let found = ctx.services().configs.get(account, K8S_CONFIG, &name)?;
    let (access_id, body) = found.ok_or_else(|| absent(&name))?;
    let config = K8sConfig::from_json(&body)?;
    Answer::json(&shown(&name, &access_id, &config))
}
