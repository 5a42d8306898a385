//! What the member is called, and its settings.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{CUSTOM_USERNAME_TEMPLATE, KEY_NAME, REMOTE_CONSOLE, USER_TTL};
use crate::{Kind, Spelling};

pub(super) const KEY: Field<Text> = Field::text(
    "gcp-key",
    "The key of a service account, without a target: JSON, or that in base64.",
)
.secret();
pub(super) const ACCESS_TYPE: Field<Text> = Field::text(
    "access-type",
    "Who gets something: sa, a service account; external, people who are there already.",
)
.default("sa")
.choices(&["sa", "external"]);
pub(super) const ACCOUNT_TYPE: Field<Text> = Field::text(
    "service-account-type",
    "Whether the service account is there already (fixed) or is made (dynamic).",
)
.default("fixed")
.choices(&["fixed", "dynamic"]);
pub(super) const CREDENTIAL: Field<Text> =
    Field::text("gcp-cred-type", "What is made of a service account: token or key.")
        .default("token")
        .choices(&["token", "key"]);
pub(super) const ACCOUNT: Field<Text> = Field::text(
    "gcp-sa-email",
    "The service account that is there already; the key's own otherwise.",
);
pub(super) const PROJECT: Field<Text> = Field::text(
    "gcp-project-id",
    "The project that service accounts are made in; the key's own otherwise.",
);
pub(super) const SCOPES: Field<Text> =
    Field::text("gcp-token-scopes", "The scopes of tokens, with commas between.")
        .default("https://www.googleapis.com/auth/cloud-platform");
pub(super) const ALGORITHM: Field<Text> =
    Field::text("gcp-key-algo", "What keys are: KEY_ALG_RSA_2048 or KEY_ALG_RSA_1024.")
        .default("KEY_ALG_RSA_2048")
        .choices(&["KEY_ALG_RSA_2048", "KEY_ALG_RSA_1024"]);
pub(super) const ROLE_BINDING: Field<Text> = Field::text(
    "role-binding",
    "Roles by project, as JSON such as {\"projects/name\": [\"roles/storage.objectViewer\"]}.",
);
pub(super) const ROLE_NAMES: Field<Text> =
    Field::text("role-names", "Roles in the project of gcp-project-id, with commas between.");
pub(super) const CLAIM: Field<Text> = Field::text(
    "fixed-user-claim-keyname",
    "The claim of the caller that says whose rights these are, with access-type external.",
)
.default("ext_email");

pub(super) static KIND: Kind = Kind {
    name: "gcp",
    what: "Google Cloud",
    targets: &["gcp"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-gcp",
            "DynamicSecretCreateGcp",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-gcp",
            "GatewayCreateProducerGcp",
            "GatewayCreateProducerGcpOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-gcp",
            "DynamicSecretUpdateGcp",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-gcp",
            "GatewayUpdateProducerGcp",
            "GatewayUpdateProducerGcpOutput",
        )
        .success(201),
    ],
    // Of display names of accounts.
    name_bytes_max: 90,
    fields: &Group {
        title: "Google Cloud",
        fields: &[
            ACCESS_TYPE.spec(),
            ACCOUNT_TYPE.spec(),
            CREDENTIAL.spec(),
            ACCOUNT.spec(),
            PROJECT.spec(),
            SCOPES.spec(),
            ALGORITHM.spec(),
            ROLE_BINDING.spec(),
            ROLE_NAMES.spec(),
            CLAIM.spec(),
            USER_TTL.spec(),
            KEY.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
        ],
    },
    remote: &REMOTE_CONSOLE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["gcp-sa-email", "gcp-project-id"],
    details: &[
        ("gcp_access_type", "access-type"),
        ("gcp_service_account_type", "service-account-type"),
        ("gcp_token_type", "gcp-cred-type"),
        ("gcp_service_account_email", "gcp-sa-email"),
        ("gcp_project_id", "gcp-project-id"),
        ("gcp_token_scope", "gcp-token-scopes"),
        ("gcp_key_algo", "gcp-key-algo"),
        ("gcp_role_names", "role-names"),
        ("gcp_fixed_user_claim_keyname", "fixed-user-claim-keyname"),
    ],
    json_details: &[],
    wrapped: true,
};
