//! Tokens for clusters of Google Kubernetes Engine. The tests have a stand-in for the service.
//!
//! They are tokens of a service account, which Google ends at their own time.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::Lent;
use keysherd_targets::gke::{Gke, GkeFields, gke};
use keysherd_targets::google::CLOUD;
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::fields::{KEY_NAME, REMOTE_PLAIN_CLUSTERS, USER_TTL, need_type};
use crate::member::More;
use crate::name::{need_handle, username};
use crate::{
    BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse, Wish, exec,
    google,
};

#[cfg(test)]
mod tests;

const KEY: Field<Text> = Field::text(
    "gke-account-key",
    "The key of a service account, without a target: JSON, or that in base64.",
)
.secret();
const ACCOUNT: Field<Text> = Field::text(
    "gke-service-account-email",
    "The service account that tokens are of; the key's own otherwise.",
);
const ENDPOINT: Field<Text> =
    Field::text("gke-cluster-endpoint", "The address of the cluster's API server.");
const AUTHORITY: Field<Text> = Field::text(
    "gke-cluster-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> =
    Field::text("gke-cluster-name", "What the cluster is called in kubeconfig files.");
const FIELDS: GkeFields =
    GkeFields { endpoint: ENDPOINT, authority: AUTHORITY, name: NAME, account: ACCOUNT, key: KEY };

/// Longest life of a token, in seconds.
const SECONDS_MAX: i64 = 3_600;

static KIND: Kind = Kind {
    name: "gke",
    what: "a cluster of Google Kubernetes Engine",
    targets: &["gke"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-gke",
            "DynamicSecretCreateGke",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-gke",
            "GatewayCreateProducerGke",
            "GatewayCreateProducerGkeOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-gke",
            "DynamicSecretUpdateGke",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-gke",
            "GatewayUpdateProducerGke",
            "GatewayUpdateProducerGkeOutput",
        )
        .success(201),
    ],
    name_bytes_max: 100,
    fields: &Group {
        title: "Google Kubernetes Engine",
        fields: &[
            USER_TTL.spec(),
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            NAME.spec(),
            ACCOUNT.spec(),
            KEY.spec(),
        ],
    },
    remote: &REMOTE_PLAIN_CLUSTERS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["gke-cluster-endpoint", "gke-cluster-cert"],
    details: &[
        ("gke_cluster_ca_certificate", "gke-cluster-cert"),
        ("gke_cluster_endpoint", "gke-cluster-endpoint"),
        ("gke_cluster_name", "gke-cluster-name"),
        ("gke_service_account_name", "gke-service-account-email"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) struct GkeTokens;

impl Engine for GkeTokens {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        KIND.check(settings)?;
        cluster(settings, target)?;
        if KIND.ttl_seconds(settings)? > SECONDS_MAX {
            return Err(bad_setting(USER_TTL.name(), "Google lets tokens live for 60m at most"));
        }
        Ok(Vec::new())
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let seconds = wish.ttl_seconds.clamp(1, SECONDS_MAX);
        Ok(Plan {
            handle: username(scene.settings, wish, scene.way, KIND.name_bytes_max)?,
            password: SecretString::new(String::new()),
            more: More(Map::from_iter([("seconds".to_owned(), seconds.into())])),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            let Gke { cluster, key, account } = cluster(scene.settings, scene.target.as_ref())?;
            let seconds = plan.more.0.get("seconds").and_then(Value::as_i64).unwrap_or(SECONDS_MAX);
            let user = account.clone().unwrap_or_else(|| key.account.clone());
            let lent = google::token(key, account.as_deref(), CLOUD, seconds, scene.way).await?;
            let Lent { token, ends } = lent;
            let told = exec::Cluster {
                name: &cluster.name,
                endpoint: &cluster.endpoint,
                authority: cluster.authority.as_deref(),
                user: &user,
            };
            let (token, until) = (token.expose().as_str().into(), ends.rfc3339().into());
            let value = exec::credential(&token, &until, &told);
            keysherd_wire::wipe(token);
            Ok(Created { value, handle: None, ends: Some(ends), warnings: Vec::new() })
        })
    }

    fn revoke<'a>(
        &'a self,
        _: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            need_handle(handle)?;
            Ok(vec!["Google ends the token at its own time, and no earlier".to_owned()])
        })
    }
}

fn cluster(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Gke, Fault> {
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            gke(target.settings)
        }
        None => Gke::by(settings, &FIELDS),
    }
}
