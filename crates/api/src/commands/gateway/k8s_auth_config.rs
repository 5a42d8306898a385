//! A gateway's configuration of a Kubernetes cluster: its fields, and what is shown of it.

use keysherd_authn::{K8S_CONFIG, K8sApi, K8sConfig, pem_text, signing_key};
use keysherd_base::{AccessId, AccountId, Fault, Uid};
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Args, Field, Flag, Group, Int, Text};
use serde::Serialize;

use crate::configs::Config;
use crate::ctx::Ctx;

/// Its name. Not a path: it means the same with and without a slash in front.
pub(super) const NAME: Field<Text> =
    Field::text("name", "Name of the configuration on this gateway.").required();
const ACCESS_ID: Field<Text> =
    Field::text("access-id", "Access id of the Kubernetes auth method.").required();
const CLUSTER_API_TYPE: Field<Text> = Field::text("cluster-api-type", "What answers at k8s-host.")
    .choices(&["native_k8s", "rancher"])
    .default("native_k8s");
const DISABLE_ISSUER_VALIDATION: Field<Flag> =
    Field::flag("disable-issuer-validation", "Accept tokens of any issuer the API server accepts.");
const K8S_AUTH_TYPE: Field<Text> =
    Field::text("k8s-auth-type", "How the gateway shows the API server who it is.")
        .choices(&["token", "certificate"])
        .default("token");
const K8S_CA_CERT: Field<Text> =
    Field::text("k8s-ca-cert", "The cluster's CA certificate: PEM, or that in base64.");
const K8S_CLIENT_CERTIFICATE: Field<Text> =
    Field::text("k8s-client-certificate", "Client certificate: PEM, or that in base64.");
const K8S_CLIENT_KEY: Field<Text> =
    Field::text("k8s-client-key", "Its private key: PEM, or that in base64.").secret();
const K8S_HOST: Field<Text> =
    Field::text("k8s-host", "Address of the API server, such as https://10.0.0.1:6443.").required();
const K8S_ISSUER: Field<Text> =
    Field::text("k8s-issuer", "Issuer that tokens must name; the default accepts any.")
        .default("kubernetes/serviceaccount");
const RANCHER_API_KEY: Field<Text> =
    Field::text("rancher-api-key", "Rancher's API key, for cluster-api-type rancher.").secret();
const RANCHER_CLUSTER_ID: Field<Text> =
    Field::text("rancher-cluster-id", "Rancher's id of the cluster.");
const SIGNING_KEY: Field<Text> = Field::text(
    "signing-key",
    "The private key that was shown when the auth method was made: PEM, or that in base64.",
)
.required()
.secret();
const TOKEN_EXP: Field<Int> =
    Field::int("token-exp", "Longest life of an assertion in seconds; a minute is the most.")
        .default("300");
const TOKEN_REVIEWER_JWT: Field<Text> = Field::text(
    "token-reviewer-jwt",
    "Token of a service account with the role system:auth-delegator; none: the reviewed one.",
)
.secret();
const USE_GW_SERVICE_ACCOUNT: Field<Flag> =
    Field::flag("use-gw-service-account", "Ask with the service account of the gateway's own pod.");

/// The default issuer, which tokens had before projected ones: no statement about those.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// Everything but the name.
pub(super) static CONFIG: Group = Group {
    title: "Cluster",
    fields: &[
        ACCESS_ID.spec(),
        SIGNING_KEY.spec(),
        K8S_HOST.spec(),
        K8S_CA_CERT.spec(),
        TOKEN_REVIEWER_JWT.spec(),
        USE_GW_SERVICE_ACCOUNT.spec(),
        K8S_AUTH_TYPE.spec(),
        K8S_CLIENT_CERTIFICATE.spec(),
        K8S_CLIENT_KEY.spec(),
        K8S_ISSUER.spec(),
        DISABLE_ISSUER_VALIDATION.spec(),
        CLUSTER_API_TYPE.spec(),
        RANCHER_API_KEY.spec(),
        RANCHER_CLUSTER_ID.spec(),
        TOKEN_EXP.spec(),
    ],
};

/// The name in one spelling.
pub(super) fn name(args: &Args, field: &Field<Text>) -> Result<String, Fault> {
    let given = args.need(field)?;
    let name = given.trim().trim_matches('/');
    if name.is_empty() {
        return Err(Fault::bad_request(format!("'{}' is empty; give a name", field.name())));
    }
    Ok(name.to_owned())
}

/// The configuration that the arguments ask for, for a caller who may make it.
pub(super) async fn wanted(ctx: &Ctx, args: &Args, name: String) -> Result<Config, Fault> {
    let access_id = AccessId::parse(&args.need(&ACCESS_ID)?)
        .map_err(|bad| Fault::bad_request(format!("invalid value of 'access-id': {bad}")))?;
    let id = Uid::random(&*ctx.services().rng)?.to_string();
    let config = read(args, id)?;
    config.check()?;
    let body = config.to_json()?;
    let account = admitted(ctx, Some(&access_id)).await?;
    Ok(Config { account, kind: K8S_CONFIG, name, access_id, body })
}

/// The caller's account, if they may configure this gateway for that method.
pub(super) async fn admitted(ctx: &Ctx, method: Option<&AccessId>) -> Result<AccountId, Fault> {
    let signs_for = method.map(|id| (id.clone(), Some(K8S_CONFIG.to_owned())));
    Ok(ctx.ask(GatewayConfigure { signs_for }).await?.account)
}

fn read(args: &Args, id: String) -> Result<K8sConfig, Fault> {
    let signing = args
        .secret(&SIGNING_KEY)?
        .ok_or_else(|| Fault::bad_request("missing required field 'signing-key'"))?;
    let rancher =
        args.get(&CLUSTER_API_TYPE)?.is_some_and(|kind| kind.eq_ignore_ascii_case("rancher"));
    let by_certificate =
        args.get(&K8S_AUTH_TYPE)?.is_some_and(|kind| kind.eq_ignore_ascii_case("certificate"));
    let own_service_account = args.get_or(&USE_GW_SERVICE_ACCOUNT, false)?;
    let any_issuer = args.get_or(&DISABLE_ISSUER_VALIDATION, false)?;
    let issuer = args.get(&K8S_ISSUER)?.filter(|issuer| !any_issuer && issuer != LEGACY_ISSUER);
    let seconds = args.get_or(&TOKEN_EXP, 300)?;
    let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        Fault::bad_request("invalid value of 'token-exp': it must be a number of seconds")
    })?;
    let config = K8sConfig {
        id,
        host: args.need(&K8S_HOST)?,
        api: if rancher { K8sApi::Rancher } else { K8sApi::NativeK8s },
        rancher_cluster_id: args.get(&RANCHER_CLUSTER_ID)?,
        rancher_api_key: args.get(&RANCHER_API_KEY)?,
        ca: pem(args, &K8S_CA_CERT)?,
        reviewer: args.get(&TOKEN_REVIEWER_JWT)?.map(|token| token.trim().to_owned()),
        client_certificate: pem(args, &K8S_CLIENT_CERTIFICATE)?.filter(|_| by_certificate),
        client_key: pem(args, &K8S_CLIENT_KEY)?.filter(|_| by_certificate),
        issuer,
        own_service_account,
        assertion_seconds: seconds,
        signing_key: signing_key(SIGNING_KEY.name(), &signing)?.expose().clone(),
    };
    if by_certificate && config.client_certificate.is_none() {
        return Err(Fault::bad_request(
            "missing required field 'k8s-client-certificate' beside k8s-auth-type certificate",
        ));
    }
    Ok(config)
}

/// A PEM text, given as such or in base64.
fn pem(args: &Args, field: &Field<Text>) -> Result<Option<String>, Fault> {
    let Some(given) = args.get(field)? else { return Ok(None) };
    pem_text(&given).map(Some).ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of '{}': it must be PEM, or PEM in base64",
            field.name()
        ))
    })
}

/// The model `GatewayGetK8SAuthConfigOutput` without its secrets.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    auth_method_access_id: &'a str,
    k8s_host: &'a str,
    k8s_auth_type: &'static str,
    cluster_api_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_ca_cert: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_client_cert_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rancher_cluster_id: Option<&'a str>,
    k8s_issuer: &'a str,
    disable_iss_validation: bool,
    use_local_ca_jwt: bool,
    am_token_expiration: u32,
}

/// What is shown of a configuration.
pub(super) fn shown<'a>(
    name: &'a str,
    access_id: &'a AccessId,
    config: &'a K8sConfig,
) -> Shown<'a> {
    let by_certificate = config.client_certificate.is_some();
    Shown {
        id: &config.id,
        name,
        auth_method_access_id: access_id.as_str(),
        k8s_host: &config.host,
        k8s_auth_type: if by_certificate { "certificate" } else { "token" },
        cluster_api_type: match config.api {
            K8sApi::NativeK8s => "native_k8s",
            K8sApi::Rancher => "rancher",
        },
        k8s_ca_cert: config.ca.as_deref(),
        k8s_client_cert_data: config.client_certificate.as_deref(),
        rancher_cluster_id: config.rancher_cluster_id.as_deref(),
        k8s_issuer: config.issuer.as_deref().unwrap_or(LEGACY_ISSUER),
        disable_iss_validation: config.issuer.is_none(),
        use_local_ca_jwt: config.own_service_account,
        am_token_expiration: config.assertion_seconds,
    }
}

/// What is said when there is no such configuration.
pub(super) fn absent(name: &str) -> Fault {
    Fault::not_found(format!(
        "this gateway has no Kubernetes configuration '{}'",
        name.escape_default()
    ))
}
