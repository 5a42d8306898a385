//! `gateway-update-ldap-auth-config`: how this gateway checks people of a directory.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::ldap_auth_config::{CONFIG, admitted, changed, parsed, read};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-ldap-auth-config",
        aliases: &[],
        success: 201,
        summary: "Tell this gateway how to check people of a directory; what is not given stays.",
        groups: &[&SESSION, &CONFIG],
        fields: &[],
        reply: "GatewayUpdateLdapAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The LDAP configuration of this gateway was changed"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = admitted(&ctx, None).await?;
    let kept = read(&ctx, account)?;
    let config = changed(&args, parsed(kept.as_ref())?, account)?;
    admitted(&ctx, Some(&config.access_id)).await?;
    ctx.services().configs.put_changed(config, kept.as_ref()).await?;
    Answer::json(&Reply { updated: true })
}
