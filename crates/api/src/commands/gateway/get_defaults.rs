//! `gateway-get-defaults`: what the gateways of this cluster take where a request does not say.

use keysherd_base::{AccessId, Fault};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::defaults::{admitted, known};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::fields::SESSION;

/// The model `GatewayGetDefaultsOutput`.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_access_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_protection_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hvp_route_version: Option<u32>,
    notify_on_status_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_access_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saml_access_id: Option<&'a str>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-defaults",
        aliases: &[],
        success: 200,
        summary: "Show what the gateways of this cluster take where a request does not say.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GatewayGetDefaultsOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let (account, _) = admitted(&ctx).await?;
    let Defaults { key, logins, hvp_route_version, tells_status, .. } =
        known(&ctx, account)?.unwrap_or_default();
    Answer::json(&Shown {
        certificate_access_id: logins.certificate.as_ref().map(AccessId::as_str),
        default_protection_key_id: key.map(|key| key.0.to_string()),
        hvp_route_version,
        notify_on_status_change: tells_status.unwrap_or_default(),
        oidc_access_id: logins.oidc.as_ref().map(AccessId::as_str),
        saml_access_id: logins.saml.as_ref().map(AccessId::as_str),
    })
}
