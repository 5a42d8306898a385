//! The settings of SQL Server's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_SCHEMAS, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const CREATION_STATEMENTS: Field<Text> = Field::text(
    "mssql-create-statements",
    "Statements that make a login, divided by ;, with {{name}} and {{password}}; without them it \
     may do what everybody may.",
);
pub(super) const REVOCATION_STATEMENTS: Field<Text> = Field::text(
    "mssql-revocation-statements",
    "Statements that remove a login with its users, divided by ;, with {{name}}.",
);
pub(super) const ALLOWED_DB_NAMES: Field<Text> = Field::text(
    "mssql-allowed-db-names",
    "Databases that callers may choose; this version makes users in the one that is named here or \
     by the target, and refuses others.",
);
pub(super) const HOST: Field<Text> =
    Field::text("mssql-host", "The server, without a target.").default("127.0.0.1");
pub(super) const PORT: Field<Text> =
    Field::text("mssql-port", "Its port, without a target.").default("1433");
pub(super) const USERNAME: Field<Text> = Field::text(
    "mssql-username",
    "The login that makes and removes others there, without a target.",
);
pub(super) const PASSWORD: Field<Text> =
    Field::text("mssql-password", "That login's password.").secret();
pub(super) const DB_NAME: Field<Text> =
    Field::text("mssql-dbname", "The database to sign in to, unless the target says it.");

/// What a login gets when nobody says what.
pub(super) const CREATION: &str = "CREATE LOGIN [{{name}}] WITH PASSWORD = '{{password}}';";
/// How it goes.
pub(super) const REVOCATION: &str = "DROP LOGIN [{{name}}];";

pub(super) static KIND: Kind = Kind {
    name: "mssql",
    what: "an SQL Server",
    targets: &["mssql"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-mssql",
            "DynamicSecretCreateMsSql",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-mssql",
            "GatewayCreateProducerMSSQL",
            "GatewayCreateProducerMSSQLOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-mssql",
            "DynamicSecretUpdateMsSql",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-mssql",
            "GatewayUpdateProducerMSSQL",
            "GatewayUpdateProducerMSSQLOutput",
        )
        .success(201),
    ],
    // SQL Server's is 128 characters; a choice.
    name_bytes_max: 63,
    fields: &Group {
        title: "SQL Server",
        fields: &[
            CREATION_STATEMENTS.spec(),
            REVOCATION_STATEMENTS.spec(),
            ALLOWED_DB_NAMES.spec(),
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
    remote: &REMOTE_SCHEMAS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["mssql-host", "mssql-port"],
    details: &[
        ("mssql_creation_statements", "mssql-create-statements"),
        ("mssql_revocation_statements", "mssql-revocation-statements"),
        ("mssql_allowed_db_names", "mssql-allowed-db-names"),
        ("db_host_name", "mssql-host"),
        ("db_port", "mssql-port"),
        ("db_user_name", "mssql-username"),
        ("db_name", "mssql-dbname"),
    ],
    json_details: &[],
    wrapped: true,
};
