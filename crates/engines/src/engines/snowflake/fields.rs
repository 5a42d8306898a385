//! The settings of Snowflake's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NONE, PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS,
};
use crate::{Kind, Spelling};

/// How users prove who they are.
pub(super) const AUTH_MODES: [&str; 2] = ["password", "key"];
/// How long their keys are.
pub(super) const KEY_ALGOS: [&str; 3] = ["RSA2048", "RSA3072", "RSA4096"];

pub(super) const ACCOUNT: Field<Text> = Field::text(
    "account",
    "The account's identifier, without a target, such as myorg-account or xy12345.us-east-1.",
);
pub(super) const USERNAME: Field<Text> = Field::text(
    "account-username",
    "The user that makes and removes others there, without a target.",
);
pub(super) const PASSWORD: Field<Text> = Field::text(
    "account-password",
    "A programmatic access token of that user; Snowflake takes no password for statements.",
)
.secret();
pub(super) const PRIVATE_KEY: Field<Text> =
    Field::text("private-key", "That user's private key in PEM, not encrypted.").secret();
pub(super) const PRIVATE_KEY_PASSPHRASE: Field<Text> =
    Field::text("private-key-passphrase", "The passphrase of an encrypted key, which is not read.")
        .secret();
pub(super) const AUTH_MODE: Field<Text> =
    Field::text("auth-mode", "What users get: password or key.")
        .default("password")
        .choices(&AUTH_MODES);
pub(super) const KEY_ALGO: Field<Text> =
    Field::text("key-algo", "How long users' keys are: RSA2048, RSA3072 or RSA4096.")
        .choices(&KEY_ALGOS);
pub(super) const ROLE: Field<Text> = Field::text("role", "The role that users get.");
pub(super) const WAREHOUSE: Field<Text> =
    Field::text("warehouse", "The warehouse that users work in.");
pub(super) const DB_NAME: Field<Text> =
    Field::text("db-name", "The database that users work in, unless the target says it.");
pub(super) const USER_TTL: Field<Text> =
    Field::text("user-ttl", "How long credentials live, such as 30s, 15m or 4h.").default("24h");

pub(super) static KIND: Kind = Kind {
    name: "snowflake",
    what: "an account of Snowflake",
    targets: &["snowflake"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-snowflake",
            "DynamicSecretCreateSnowflake",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-snowflake",
            "GatewayCreateProducerSnowflake",
            "GatewayCreateProducerSnowflakeOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-snowflake",
            "DynamicSecretUpdateSnowflake",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-snowflake",
            "GatewayUpdateProducerSnowflake",
            "GatewayUpdateProducerSnowflakeOutput",
        )
        .success(201),
    ],
    // Snowflake's is 255 characters; a choice.
    name_bytes_max: 63,
    fields: &Group {
        title: "Snowflake",
        fields: &[
            ROLE.spec(),
            WAREHOUSE.spec(),
            AUTH_MODE.spec(),
            KEY_ALGO.spec(),
            USER_TTL.spec(),
            ACCOUNT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            PRIVATE_KEY.spec(),
            PRIVATE_KEY_PASSPHRASE.spec(),
            DB_NAME.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "24h",
    key: KEY_NONE,
    whereabouts: &["account"],
    details: &[
        ("sf_account", "account"),
        ("sf_auth_mode", "auth-mode"),
        ("sf_key_algo", "key-algo"),
        ("sf_user_role", "role"),
        ("sf_warehouse_name", "warehouse"),
        ("db_user_name", "account-username"),
        ("db_name", "db-name"),
    ],
    json_details: &[],
    wrapped: true,
};
