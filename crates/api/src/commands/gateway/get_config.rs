//! `gateway-get-config`: what is in force at this gateway, in V2's shape and without secrets.
//!
//! Who may see the general part sees of the others what they may configure.

mod parts;

use std::collections::BTreeMap;

use keysherd_base::Fault;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::clusters::{ClusterShow, ClusterShown};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;
use serde_json::{Map, Value};

use super::cache::CachePart;
use crate::caching::CachePolicy;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The model `AkeylessGatewayConfig`, as far as there is something of it here.
#[derive(Serialize)]
struct Shown {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_protection_key_name: Option<String>,
    general: parts::General,
    saml: parts::DefaultsPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    admins: Option<parts::Admins>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CachePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cf: Option<parts::Fragments>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_auths: Option<BTreeMap<&'static str, Vec<Value>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kerberos: Option<parts::Kerberos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_forwarding: Option<Map<String, Value>>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-config",
        aliases: &[],
        success: 200,
        summary: "Show what this gateway is configured with, without secrets.",
        groups: &[&SESSION],
        fields: &[],
        reply: "AkeylessGatewayConfig",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let shown = ctx.ask(ClusterShow).await?;
    let account = shown.account;
    let may = |permission| shown.permissions.contains(&permission);
    use GatewayPermission as P;
    let k8s = may(P::K8sAuth).then(|| parts::k8s(&ctx, account)).transpose()?;
    let ldap = may(P::LdapAuth).then(|| parts::ldap(&ctx, account)).transpose()?;
    let kerberos = may(P::KerberosAuth).then(|| parts::kerberos(&ctx, account)).transpose()?;
    let forwarding = may(P::LogForwarding).then(|| parts::log_forwarding(&ctx, account));
    let cache = may(P::Caching).then(|| CachePolicy::of(ctx.services(), account)).transpose()?;
    let cache = cache.as_ref().map(CachePart::of);
    let defaults = super::defaults::known(&ctx, account)?.unwrap_or_default();
    let ClusterShown { cluster, protection_key, allowed, .. } = &shown;
    Answer::json(&Shown {
        version: ctx.services().configs.version(),
        config_protection_key_name: protection_key.as_ref().map(ToString::to_string),
        general: parts::general(&ctx, account, cluster.as_ref(), &defaults)?,
        saml: parts::defaults(&defaults),
        admins: may(P::Admin).then(|| parts::admins(allowed)),
        cache,
        cf: may(P::ZeroKnowledgeEncryption).then(|| parts::fragments(&ctx)),
        k8s_auths: k8s.map(|all| BTreeMap::from([("k8s_auths", all)])),
        ldap: ldap.flatten(),
        kerberos: kerberos.flatten(),
        log_forwarding: forwarding.transpose()?.flatten(),
    })
}
