//! The parts of a gateway's configuration, each in V2's shape. Private keys, passwords, tokens and
//! keytabs are in none of them.

use std::collections::BTreeMap;

use keysherd_authn::{
    Directory, K8S_CONFIG, K8sConfig, KERBEROS_CONFIG, KerberosShown, LDAP_CONFIG, LdapConfig,
};
use keysherd_base::{AccessId, AccountId, Fault};
use keysherd_crypto::pki::{certificate_common_name, certificate_validity};
use keysherd_domain::cluster::Cluster;
use keysherd_fragments::fragment_file::id_text;
use keysherd_plane::gateway_access::GatewayAccessView;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::{k8s_auth_config, ldap_auth_config, log_forwarding as forwarding};
use crate::certificate::{CERTIFICATE_CONFIG, CertificateWish};
use crate::ctx::Ctx;
use crate::defaults::Defaults;

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// The model `GeneralConfigPart`.
#[derive(Serialize)]
pub(super) struct General {
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw_cluster_url: Option<String>,
    enable_tls: bool,
    enable_tls_configure: bool,
    enable_tls_curl: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hvp_route_version: Option<u32>,
    notify_on_status_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_common_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_expiration_date: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_cert_expiration_events: Vec<ExpirationEvent>,
}

/// The model `CertificateExpirationEvent`.
#[derive(Serialize)]
struct ExpirationEvent {
    seconds_before: u64,
}

/// The general part: the cluster, and the certificate that administrators set.
pub(super) fn general(
    ctx: &Ctx,
    account: AccountId,
    cluster: Option<&Cluster>,
    defaults: &Defaults,
) -> Result<General, Fault> {
    let certificate = ctx.services().configs.get(account, CERTIFICATE_CONFIG, "")?;
    let certificate = certificate.map(|(_, body)| CertificateWish::from_json(&body)).transpose()?;
    let (chain, days) = match certificate {
        Some(CertificateWish { chain, warn_days, .. }) => (chain, warn_days),
        None => (None, Vec::new()),
    };
    let end = chain.as_deref().and_then(certificate_validity).map(|(_, end)| end.rfc3339());
    let event = |days: u32| ExpirationEvent { seconds_before: u64::from(days) * DAY_SECONDS };
    let url = cluster.map(|cluster| cluster.url.clone()).filter(|url| !url.is_empty());
    Ok(General {
        display_name: cluster.map(|cluster| cluster.display_name.clone()),
        gw_cluster_url: url,
        enable_tls: true,
        enable_tls_configure: true,
        enable_tls_curl: true,
        hvp_route_version: defaults.hvp_route_version,
        notify_on_status_change: defaults.tells_status.unwrap_or_default(),
        tls_cert_common_name: chain.as_deref().and_then(certificate_common_name),
        tls_cert_expiration_date: end,
        tls_cert_expiration_events: days.into_iter().map(event).collect(),
        tls_cert: chain,
    })
}

/// The model `DefaultConfigPart`.
#[derive(Serialize)]
pub(super) struct DefaultsPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_access_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_protection_key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_secret_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_access_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saml_access_id: Option<String>,
}

/// What is taken where a request does not say.
pub(super) fn defaults(defaults: &Defaults) -> DefaultsPart {
    let shown = |id: &Option<AccessId>| id.as_ref().map(ToString::to_string);
    DefaultsPart {
        certificate_access_id: shown(&defaults.logins.certificate),
        default_protection_key_id: defaults.key.map(|key| key.0),
        default_secret_location: defaults.location.clone(),
        oidc_access_id: shown(&defaults.logins.oidc),
        saml_access_id: shown(&defaults.logins.saml),
    }
}

/// The model `AdminsConfigPart`.
#[derive(Serialize)]
pub(super) struct Admins {
    allowed_access: BTreeMap<String, Allowed>,
}

/// The model `AllowedAccessOld`.
#[derive(Serialize)]
struct Allowed {
    name: String,
    acc_id: String,
    access_permissions: Vec<&'static str>,
    sub_claims: BTreeMap<String, Vec<String>>,
    editable: bool,
    is_valid: bool,
}

/// Who may configure it.
pub(super) fn admins(allowed: &[GatewayAccessView]) -> Admins {
    let shown = |view: &GatewayAccessView| {
        let access = &view.access;
        let allowed = Allowed {
            name: access.name.clone(),
            acc_id: access.access_id.to_string(),
            access_permissions: access.permissions.iter().map(|one| one.name()).collect(),
            sub_claims: access.sub_claims.0.clone(),
            editable: !access.provided,
            is_valid: view.access_type.is_some(),
        };
        (access.name.clone(), allowed)
    };
    Admins { allowed_access: allowed.iter().map(shown).collect() }
}

/// The model `CFConfigPart`, whose field V2 spells so.
#[derive(Serialize)]
pub(super) struct Fragments {
    customer_fragements: BTreeMap<String, String>,
}

/// The customer fragments that this gateway holds: their ids and names.
pub(super) fn fragments(ctx: &Ctx) -> Fragments {
    let held = ctx.crypt().customer_fragments().into_iter();
    Fragments { customer_fragements: held.map(|it| (id_text(&it.id), it.name)).collect() }
}

/// The Kubernetes clusters that this gateway signs for.
pub(super) fn k8s(ctx: &Ctx, account: AccountId) -> Result<Vec<Value>, Fault> {
    let configs = &ctx.services().configs;
    let mut names: Vec<String> = configs
        .of_kind(K8S_CONFIG)
        .into_iter()
        .filter(|it| it.account == account)
        .map(|it| it.name)
        .collect();
    names.sort_unstable();
    let mut all = Vec::new();
    for name in names {
        // Somebody may have removed it meanwhile.
        let Some((access_id, body)) = configs.get(account, K8S_CONFIG, &name)? else { continue };
        let config = K8sConfig::from_json(&body)?;
        all.push(value(&k8s_auth_config::shown(&name, &access_id, &config))?);
    }
    Ok(all)
}

/// The directory that this gateway signs for.
pub(super) fn ldap(ctx: &Ctx, account: AccountId) -> Result<Option<Value>, Fault> {
    let Some((access_id, body)) = ctx.services().configs.get(account, LDAP_CONFIG, "")? else {
        return Ok(None);
    };
    let config = LdapConfig::from_json(&body)?;
    value(&ldap_auth_config::shown(&access_id, &config)).map(Some)
}

/// The model `KerberosConfigPart`.
#[derive(Serialize)]
pub(super) struct Kerberos {
    kerberos_access_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kerberos_krb_5_conf: Option<String>,
    ldap_anonymous_search: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_bind_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_cert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_attr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_user_attr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_user_dn: Option<String>,
}

/// The Kerberos method that this gateway serves; the first one of several, as V2 has room for one.
pub(super) fn kerberos(ctx: &Ctx, account: AccountId) -> Result<Option<Kerberos>, Fault> {
    let configs = &ctx.services().configs;
    let own = configs.of_kind(KERBEROS_CONFIG).into_iter().filter(|it| it.account == account);
    let Some(first) = own.map(|it| it.name).min() else { return Ok(None) };
    let Some((access_id, body)) = configs.get(account, KERBEROS_CONFIG, &first)? else {
        return Ok(None);
    };
    let KerberosShown { realm, directory } = KerberosShown::from_json(&body)?;
    let of = |part: fn(&Directory) -> Option<&String>| directory.as_ref().and_then(part).cloned();
    Ok(Some(Kerberos {
        kerberos_access_id: access_id.to_string(),
        // As much of the file as is in force.
        kerberos_krb_5_conf: realm.map(|it| format!("[libdefaults]\n  default_realm = {it}\n")),
        ldap_anonymous_search: directory.as_ref().is_some_and(|it| it.bind_dn.is_none()),
        ldap_bind_dn: of(|it| it.bind_dn.as_ref()),
        ldap_cert: of(|it| it.ca.as_ref()),
        ldap_group_attr: of(|it| it.group_attribute.as_ref()),
        ldap_group_dn: of(|it| it.group_dn.as_ref()),
        ldap_group_filter: of(|it| it.group_filter.as_ref()),
        ldap_url: of(|it| Some(&it.url)),
        ldap_user_attr: of(|it| Some(&it.user_attribute)),
        ldap_user_dn: of(|it| Some(&it.user_dn)),
    }))
}

/// The log target that V2 knows.
pub(super) fn log_forwarding(
    ctx: &Ctx,
    account: AccountId,
) -> Result<Option<Map<String, Value>>, Fault> {
    let found = ctx.services().forwarding.get(account, "")?;
    Ok(found.as_ref().map(forwarding::shown))
}

fn value(shown: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(shown).map_err(Fault::internal)
}
