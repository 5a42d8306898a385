//! Kubernetes: service accounts, whose tokens the gateway has reviewed by the cluster's API server.
//!
//! The token never leaves the gateway. What control gets is an assertion of the claims, signed with
//! the method's key; see [`crate::assertion`].

use keysherd_base::{AccessId, Fault, Secret, SecretString};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::fits_pattern;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};

use crate::fields::{ACCESS_ID, GATEWAY_URL};
use crate::method_key::{self, GEN_KEY, MethodKey};
use crate::{
    Attempt, BoxFuture, Desk, Entrant, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted,
    World, assertion,
};

mod config;
mod pod;
mod review;
mod token;

pub use config::{Api, K8sConfig};
use review::Reviewed;

const AUDIENCE: Field<Text> =
    Field::text("audience", "The audience tokens must be meant for; none: the API server's own.");
const BOUND_NAMESPACES: Field<List> =
    Field::list("bound-namespaces", "Namespaces that may log in, with * and ?; none: any.");
const BOUND_SA_NAMES: Field<List> =
    Field::list("bound-sa-names", "Service accounts that may log in, with * and ?; none: any.");
const BOUND_POD_NAMES: Field<List> =
    Field::list("bound-pod-names", "Pods that may log in, with * and ?; none: any.");
const PUBLIC_KEY: Field<Text> = Field::text(
    "public-key",
    "An RSA public key in PEM or its base64, when the pair was made elsewhere.",
);
const K8S_AUTH_CONFIG_NAME: Field<Text> =
    Field::text("k8s-auth-config-name", "The gateway's configuration of the cluster, for k8s.");
const K8S_SERVICE_ACCOUNT_TOKEN: Field<Text> =
    Field::text("k8s-service-account-token", "The service account's token, for k8s.").secret();

/// Under which the gateway's configurations are kept.
pub const K8S_CONFIG: &str = "k8s";

static KIND: Kind = Kind {
    name: "k8s",
    access_types: &["k8s"],
    bearers: "service accounts of a Kubernetes cluster",
    create: &[
        Spelling::create("auth-method-create-k8s"),
        Spelling::older(
            "create-auth-method-k8s",
            "CreateAuthMethodK8SOutput",
            &["access_id", "prv_key"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-k8s"),
        Spelling::older("update-auth-method-k8s", "UpdateAuthMethodK8SOutput", &["prv_key"]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Kubernetes",
    fields: &[
        AUDIENCE.spec(),
        BOUND_NAMESPACES.spec(),
        BOUND_SA_NAMES.spec(),
        BOUND_POD_NAMES.spec(),
        GEN_KEY.spec(),
        PUBLIC_KEY.spec(),
    ],
};

static CREDENTIAL: [FieldSpec; 3] =
    [K8S_AUTH_CONFIG_NAME.spec(), K8S_SERVICE_ACCOUNT_TOKEN.spec(), GATEWAY_URL.spec()];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    audience: Option<String>,
    bound_namespaces: Vec<String>,
    bound_accounts: Vec<String>,
    bound_pods: Vec<String>,
    key: MethodKey,
}

/// The member.
pub(super) struct K8s;

impl Method for K8s {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, wanted: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let (key, private_key) = method_key::read(given, &PUBLIC_KEY, wanted)?;
        let settings = Settings {
            audience: given.get(&AUDIENCE)?,
            bound_namespaces: given.get(&BOUND_NAMESPACES)?.unwrap_or_default(),
            bound_accounts: given.get(&BOUND_SA_NAMES)?.unwrap_or_default(),
            bound_pods: given.get(&BOUND_POD_NAMES)?.unwrap_or_default(),
            key,
        };
        Ok(Prepared { private_key, ..Prepared::of(&settings)? })
    }

    fn replace(&self, old: &str, new: String) -> Result<String, Fault> {
        let mut settings = read(&new).map_err(|_| unreadable())?;
        settings.key = settings.key.replacing(read(old)?.key);
        Ok(Prepared::of(&settings)?.settings)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings = read(settings).map_err(|_| unreadable())?;
        method_key::check(&settings.key, PUBLIC_KEY.name())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings = read(settings)?;
        let (pub_key, gen_key_pair) = settings.key.shown();
        Ok(Rules {
            field: "k8s_access_rules",
            content: serde_json::json!({
                "alg": "RS256",
                "audience": settings.audience.unwrap_or_default(),
                "bound_namespaces": settings.bound_namespaces,
                "bound_pod_names": settings.bound_pods,
                "bound_service_account_names": settings.bound_accounts,
                "gen_key_pair": gen_key_pair,
                "pub_key": pub_key,
            }),
        })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        &CREDENTIAL
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        desk: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(prove(given, desk))
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(async move {
            let settings = read(attempt.settings)?;
            let identity = assertion::verify(&KIND, settings.key.pem()?, &attempt, world)?;
            check_bounds(&settings, &identity.claims)?;
            Ok(identity)
        })
    }
}

fn read(settings: &str) -> Result<Settings, Fault> {
    serde_json::from_str(settings).map_err(Fault::internal)
}

fn unreadable() -> Fault {
    Fault::bad_request("the settings are not those of a Kubernetes auth method")
}

async fn prove(given: &Args, desk: &dyn Desk) -> Result<String, Fault> {
    let access_id = AccessId::parse(&given.need(&ACCESS_ID)?)
        .map_err(|_| Fault::unauthorized("authentication failed"))?;
    let name = given.need(&K8S_AUTH_CONFIG_NAME)?;
    let token = Secret::new(given.need(&K8S_SERVICE_ACCOUNT_TOKEN)?);
    let outward = desk.admit(&access_id, Entrant::Machine).await?;
    let config = desk.config(K8S_CONFIG, name.trim_matches('/'), &access_id)?.ok_or_else(|| {
        Fault::unauthorized("authentication failed").with_private(
            "this gateway has no configuration of that name for the access id; make one with \
             gateway-create-k8s-auth-config",
        )
    })?;
    let config = K8sConfig::from_json(&config)?;
    let token = token::plain(&token).ok_or_else(|| {
        Fault::unauthorized("authentication failed")
            .with_private("the service account's token is not a token")
    })?;
    let _turn = outward.turn(desk.account(K8S_CONFIG, &access_id)).await?;
    let reviewed = review::review(&config, &token, outward, desk.clock().now()).await?;
    let key = Secret::new(config.signing_key.clone());
    let identity = identity(reviewed, name.trim_matches('/'), &config.id);
    assertion::sign(&KIND, &access_id, identity, &key, config.assertion_seconds, desk)
}

/// The token in a text that a bearer gave.
pub(crate) fn given_token(text: &SecretString) -> Option<SecretString> {
    token::plain(text)
}

/// Whom an API server's `answer` to a review of `token` names, by the configuration `cluster`.
///
/// # Errors
/// As a login with it.
pub(crate) fn named(token: &SecretString, answer: &[u8]) -> Result<Identity, Fault> {
    Ok(identity(review::answered(token, answer)?, "cluster", ""))
}

fn identity(reviewed: Reviewed, config: &str, config_id: &str) -> Identity {
    let mut claims = SubClaims::default();
    let unique_id = format!("{config}/{}/{}", reviewed.namespace, reviewed.account);
    claims.set("for_api_server", reviewed.for_api_server.to_string());
    claims.set("namespace", reviewed.namespace);
    claims.set("service_account_name", reviewed.account);
    claims.set("service_account_uid", reviewed.account_uid);
    claims.set("config_name", config);
    claims.set("config_id", config_id);
    let optional = [
        ("service_account_secret_name", reviewed.secret),
        ("pod_name", reviewed.pod_name),
        ("pod_uid", reviewed.pod_uid),
        ("node_name", reviewed.node),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            claims.set(name, value);
        }
    }
    if !reviewed.audiences.is_empty() {
        claims.0.insert("aud".to_owned(), reviewed.audiences);
    }
    Identity { unique_id, claims, ends: None }
}

/// Whether the claims, which the gateway took from the API server, are among those that may come.
fn check_bounds(settings: &Settings, claims: &SubClaims) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::unauthorized("authentication failed").with_private(why));
    let bounds = [
        ("namespace", &settings.bound_namespaces),
        ("service_account_name", &settings.bound_accounts),
        ("pod_name", &settings.bound_pods),
    ];
    for (name, allowed) in bounds {
        let held = claims.values(name);
        let fits = held.iter().any(|value| allowed.iter().any(|bound| fits_pattern(bound, value)));
        if !allowed.is_empty() && !fits {
            return refuse(format!("the {name} is not among those the method is bound to"));
        }
    }
    match &settings.audience {
        // A token that is meant for somebody else must not open this door.
        None if claims.values("for_api_server") != ["true"] => {
            refuse("the token is meant for others, and the method names no audience".to_owned())
        }
        Some(audience) if !claims.values("aud").contains(audience) => {
            refuse("the token is meant for another audience".to_owned())
        }
        _ => Ok(()),
    }
}
