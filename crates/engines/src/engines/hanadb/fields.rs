//! The settings of SAP HANA's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_STAYING_SCHEMAS,
    USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const CREATION_STATEMENTS: Field<Text> = Field::text(
    "hanadb-create-statements",
    "Statements that make a user, divided by ;, with {{name}} and {{password}}; without them it \
     may do what everybody may.",
);
pub(super) const REVOCATION_STATEMENTS: Field<Text> = Field::text(
    "hanadb-revocation-statements",
    "Statements that remove a user, divided by ;, with {{name}}.",
);
pub(super) const HOST: Field<Text> =
    Field::text("hanadb-host", "The server, without a target.").default("127.0.0.1");
pub(super) const PORT: Field<Text> =
    Field::text("hanadb-port", "Its port, without a target.").default("443");
pub(super) const USERNAME: Field<Text> = Field::text(
    "hanadb-username",
    "The user that makes and removes others there, without a target.",
);
pub(super) const PASSWORD: Field<Text> =
    Field::text("hanadb-password", "That user's password.").secret();
pub(super) const DB_NAME: Field<Text> = Field::text(
    "hana-dbname",
    "The tenant database that the server must be, unless the target says it.",
);

/// What a user gets when nobody says what.
pub(super) const CREATION: &str = "CREATE USER {{name}} PASSWORD \"{{password}}\" \
    NO FORCE_FIRST_PASSWORD_CHANGE;";
/// How it goes.
pub(super) const REVOCATION: &str = "DROP USER {{name}};";

pub(super) static KIND: Kind = Kind {
    name: "hanadb",
    what: "an SAP HANA",
    targets: &["hanadb"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-hanadb",
            "DynamicSecretCreateHanaDb",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-hanadb",
            "GatewayCreateProducerHanaDb",
            "GatewayCreateProducerHanaDbOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-hanadb",
            "DynamicSecretUpdateHanaDb",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-hana",
            "GatewayUpdateProducerHanaDb",
            "GatewayUpdateProducerHanaDbOutput",
        )
        .success(201),
    ],
    // HANA's is 127 characters; a choice.
    name_bytes_max: 63,
    fields: &Group {
        title: "SAP HANA",
        fields: &[
            CREATION_STATEMENTS.spec(),
            REVOCATION_STATEMENTS.spec(),
            USER_TTL.spec(),
            HOST.spec(),
            PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            DB_NAME.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_STAYING_SCHEMAS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["hanadb-host", "hanadb-port"],
    details: &[
        ("hanadb_creation_statements", "hanadb-create-statements"),
        ("hanadb_revocation_statements", "hanadb-revocation-statements"),
        ("db_host_name", "hanadb-host"),
        ("db_port", "hanadb-port"),
        ("db_user_name", "hanadb-username"),
        ("db_name", "hana-dbname"),
    ],
    json_details: &[],
    wrapped: true,
};
