//! `gateway-get-ldap-auth-config`: what this gateway knows of a directory.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::ldap_auth_config::{admitted, known, shown};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-ldap-auth-config",
        aliases: &[],
        success: 201,
        summary: "Show what this gateway knows of an LDAP directory, without its secrets.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GatewayGetLdapAuthConfigOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let account = admitted(&ctx, None).await?;
    match known(&ctx, account)? {
        Some((access_id, config)) => Answer::json(&shown(&access_id, &config)),
        None => Answer::json(&serde_json::json!({ "ldap_enable": false })),
    }
}
