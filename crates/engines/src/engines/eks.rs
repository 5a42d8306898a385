//! Tokens for clusters of Amazon's Elastic Kubernetes Service. The tests have a stand-in for the
//! service.
//!
//! A token is the address of a signed request that asks AWS whose it is; the cluster sends it. AWS
//! takes it for a quarter of an hour, and has no way to end it earlier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_base::{Fault, SecretString};
use keysherd_targets::aws::{is_role, within};
use keysherd_targets::eks::{Eks, EksFields, eks};
use keysherd_wire::{Field, Group, Text, bad_setting, wipe};
use serde_json::Value;

use crate::fields::{KEY_NAME, REMOTE_PLAIN_CLUSTERS, need_type};
use crate::member::More;
use crate::name::{need_handle, username};
use crate::{
    BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse, Wish, exec,
};

#[cfg(test)]
mod tests;

const KEY_ID: Field<Text> =
    Field::text("eks-access-key-id", "The id of the access key that signs, without a target.");
const KEY: Field<Text> =
    Field::text("eks-secret-access-key", "The secret of that access key.").secret();
const REGION: Field<Text> = Field::text("eks-region", "The region.").default("us-east-2");
const ENDPOINT: Field<Text> =
    Field::text("eks-cluster-endpoint", "The address of the cluster's API server.");
const AUTHORITY: Field<Text> = Field::text(
    "eks-cluster-ca-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> = Field::text("eks-cluster-name", "What AWS calls the cluster.");
const ROLE: Field<Text> =
    Field::text("eks-assume-role", "A role that tokens are of, assumed with the access key.");
const TTL: Field<Text> =
    Field::text("user-ttl", "How long tokens live; AWS ends them after a quarter of an hour.")
        .default("15m");
const FIELDS: EksFields = EksFields {
    endpoint: ENDPOINT,
    authority: AUTHORITY,
    name: NAME,
    region: REGION,
    key_id: KEY_ID,
    key: KEY,
};

/// The header that says which cluster a token is for.
const CLUSTER: &str = "x-k8s-aws-id";
/// How tokens begin.
const VERSION: &str = "k8s-aws-v1.";
/// How long clusters take a token at most, in seconds.
const SECONDS_MAX: i64 = 900;
/// How much earlier callers are told that it ends, in seconds, for clocks that differ.
const EARLIER_SECONDS: i64 = 60;

static KIND: Kind = Kind {
    name: "eks",
    what: "a cluster of Amazon EKS",
    targets: &["eks"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-eks",
            "DynamicSecretCreateEks",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-eks",
            "GatewayCreateProducerEks",
            "GatewayCreateProducerEksOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-eks",
            "DynamicSecretUpdateEks",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-eks",
            "GatewayUpdateProducerEks",
            "GatewayUpdateProducerEksOutput",
        )
        .success(201),
    ],
    name_bytes_max: 100,
    fields: &Group {
        title: "Amazon EKS",
        fields: &[
            ROLE.spec(),
            TTL.spec(),
            NAME.spec(),
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            REGION.spec(),
            KEY_ID.spec(),
            KEY.spec(),
        ],
    },
    remote: &REMOTE_PLAIN_CLUSTERS,
    ttl: TTL,
    ttl_default: "15m",
    key: KEY_NAME,
    whereabouts: &["eks-access-key-id", "eks-region", "eks-cluster-endpoint"],
    details: &[
        ("eks_access_key_id", "eks-access-key-id"),
        ("eks_assume_role", "eks-assume-role"),
        ("eks_cluster_ca_certificate", "eks-cluster-ca-cert"),
        ("eks_cluster_endpoint", "eks-cluster-endpoint"),
        ("eks_cluster_name", "eks-cluster-name"),
        ("eks_region", "eks-region"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) struct EksTokens;

impl Engine for EksTokens {
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
            return Err(bad_setting(TTL.name(), "clusters take tokens for 15m at most"));
        }
        Ok(Vec::new())
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        Ok(Plan {
            handle: username(scene.settings, wish, scene.way, KIND.name_bytes_max)?,
            password: SecretString::new(String::new()),
            more: More::default(),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        _: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            let Eks { cluster, aws } = cluster(scene.settings, scene.target.as_ref())?;
            let shown = within(scene.way, async {
                aws.open(scene.way).await?.shown_to((CLUSTER, cluster.name.as_str()))
            });
            let shown = shown.await?;
            let ends = scene.way.clock.now().plus_seconds(SECONDS_MAX - EARLIER_SECONDS);
            let token = format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(shown.expose()));
            let (token, until) = (Value::from(token), ends.rfc3339().into());
            let told = exec::Cluster {
                name: &cluster.name,
                endpoint: &cluster.endpoint,
                authority: cluster.authority.as_deref(),
                user: scene.settings.text(&ROLE).unwrap_or(&cluster.name),
            };
            let value = exec::credential(&token, &until, &told);
            wipe(token);
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
            Ok(vec!["AWS ends the token at its own time, and no earlier".to_owned()])
        })
    }
}

fn cluster(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Eks, Fault> {
    let role = settings.text(&ROLE);
    if !role.is_none_or(is_role) {
        let want = "it must be such as arn:aws:iam::1234:role/name";
        return Err(bad_setting(ROLE.name(), want));
    }
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            eks(target.settings, role)
        }
        None => Eks::by(settings, &FIELDS, role),
    }
}
