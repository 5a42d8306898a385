//! The settings of service accounts.

use keysherd_targets::k8s::ClusterFields;
use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{CUSTOM_USERNAME_TEMPLATE, KEY_NAME, REMOTE_CLUSTERS, USER_TTL};
use crate::{Kind, Spelling};

const ENDPOINT: Field<Text> = Field::text(
    "k8s-cluster-endpoint",
    "The address of the cluster's API server, without a target.",
);
const AUTHORITY: Field<Text> = Field::text(
    "k8s-cluster-ca-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> =
    Field::text("k8s-cluster-name", "What the cluster is called, without a target.");
const CLUSTER_TOKEN: Field<Text> = Field::text(
    "k8s-cluster-token",
    "The token of a service account that makes others, without a target.",
)
.secret();
const OWN_ACCOUNT: Field<Flag> = Field::flag(
    "use-gw-service-account",
    "Whether the gateway's own service account signs in; must be false.",
);
pub(super) const ACCOUNT_TYPE: Field<Text> = Field::text(
    "k8s-service-account-type",
    "Whether tokens are of one account that is there, fixed, or of one made for each, dynamic.",
)
.default("fixed")
.choices(&["fixed", "dynamic"]);
pub(super) const ACCOUNT: Field<Text> =
    Field::text("k8s-service-account", "The account that is there.");
pub(super) const NAMESPACE: Field<Text> =
    Field::text("k8s-namespace", "The namespace of accounts, where callers choose no other.")
        .default("default");
pub(super) const ALLOWED: Field<Text> = Field::text(
    "k8s-allowed-namespaces",
    "Namespaces with commas between that callers may choose for accounts that are made; * is any.",
);
pub(super) const ROLE_NAME: Field<Text> =
    Field::text("k8s-predefined-role-name", "A role that accounts get which are made.");
pub(super) const ROLE_TYPE: Field<Text> =
    Field::text("k8s-predefined-role-type", "Whether that is a Role or a ClusterRole.")
        .default("Role")
        .choices(&["Role", "ClusterRole"]);
pub(super) const YAML_DEF: Field<Text> = Field::text(
    "k8s-rolebinding-yaml-def",
    "A RoleBinding, and a Role if it is one's own, as YAML; names, namespaces and subjects are \
     replaced.",
);
pub(super) const YAML_DATA: Field<Text> =
    Field::text("k8s-rolebinding-yaml-data", "The same, under the name that some clients use.");

/// Where a cluster is, without a target.
pub(super) const CLUSTER: ClusterFields = ClusterFields {
    endpoint: ENDPOINT,
    authority: AUTHORITY,
    name: NAME,
    token: CLUSTER_TOKEN,
    own_account: OWN_ACCOUNT,
};

pub(super) static KIND: Kind = Kind {
    name: "k8s",
    what: "a Kubernetes cluster",
    targets: &["k8s"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-k8s",
            "DynamicSecretCreateK8s",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-k8s",
            "GatewayCreateProducerNativeK8S",
            "GatewayCreateProducerNativeK8SOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-k8s",
            "DynamicSecretUpdateK8s",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-k8s",
            "GatewayUpdateProducerNativeK8S",
            "GatewayUpdateProducerNativeK8SOutput",
        )
        .success(201),
    ],
    // With a namespace before and a mark behind it is one of the 253 of a name.
    name_bytes_max: 80,
    fields: &Group {
        title: "Kubernetes",
        fields: &[
            ACCOUNT_TYPE.spec(),
            ACCOUNT.spec(),
            NAMESPACE.spec(),
            ALLOWED.spec(),
            ROLE_NAME.spec(),
            ROLE_TYPE.spec(),
            YAML_DEF.spec(),
            YAML_DATA.spec(),
            USER_TTL.spec(),
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            NAME.spec(),
            CLUSTER_TOKEN.spec(),
            OWN_ACCOUNT.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
        ],
    },
    remote: &REMOTE_CLUSTERS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["k8s-cluster-endpoint", "k8s-cluster-ca-cert"],
    details: &[
        ("k8s_cluster_endpoint", "k8s-cluster-endpoint"),
        ("k8s_cluster_ca_certificate", "k8s-cluster-ca-cert"),
        ("k8s_cluster_name", "k8s-cluster-name"),
        ("k8s_service_account", "k8s-service-account"),
        ("k8s_namespace", "k8s-namespace"),
        ("k8s_allowed_namespaces", "k8s-allowed-namespaces"),
        ("k8s_role_name", "k8s-predefined-role-name"),
        ("k8s_role_type", "k8s-predefined-role-type"),
        ("use_gw_service_account", "use-gw-service-account"),
    ],
    json_details: &[],
    wrapped: false,
};
