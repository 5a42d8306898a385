//! Users of PostgreSQL servers, and of servers that behave like one (Vertica is served so in V2).

use keysherd_targets::postgres::Family;
use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY, PASSWORD_LENGTH, REMOTE_SCHEMAS, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::postgres::{NAME_BYTES_MAX, PostgresLike};
use crate::{Kind, Spelling};

const CREATION_STATEMENTS: Field<Text> = Field::text(
    "creation-statements",
    "Statements that make a user, divided by ;, with {{name}} and {{password}}; without them the \
     user may read the tables of the schema public.",
);
const REVOCATION_STATEMENT: Field<Text> = Field::text(
    "revocation-statement",
    "Statements that remove a user, divided by ;, with {{name}} and {{userHost}} (the user that \
     runs them); without them what the user made goes with it.",
);
const HOST: Field<Text> =
    Field::text("postgresql-host", "The server, without a target.").default("127.0.0.1");
const PORT: Field<Text> =
    Field::text("postgresql-port", "Its port, without a target.").default("5432");
const USERNAME: Field<Text> = Field::text(
    "postgresql-username",
    "The user that makes and removes others there, without a target.",
);
const PASSWORD: Field<Text> = Field::text("postgresql-password", "That user's password.").secret();
const DB_NAME: Field<Text> =
    Field::text("postgresql-db-name", "The database to sign in to, unless the target says it.");
const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections, without a target; without a word they are, except to this machine.",
);

/// What a user gets when nobody says what.
const CREATION: &str = "CREATE USER \"{{name}}\" WITH PASSWORD '{{password}}';\
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\";\
    GRANT CONNECT ON DATABASE postgres TO \"{{name}}\";\
    GRANT USAGE ON SCHEMA public TO \"{{name}}\";";
/// How it goes.
///
/// V2's own text hands what the user owns to the one who removes it, who may do everything: a
/// function that runs as its owner (SECURITY DEFINER), or a view, would let whoever made it do so.
const REVOCATION: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where usename = '{{name}}'; DROP OWNED BY \"{{name}}\"; DROP USER \"{{name}}\";";

static KIND: Kind = Kind {
    name: "postgresql",
    what: "a PostgreSQL server",
    targets: &["postgres"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-postgresql",
            "DynamicSecretCreatePostgreSql",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-postgresql",
            "GatewayCreateProducerPostgreSQL",
            "GatewayCreateProducerPostgreSQLOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-postgresql",
            "DynamicSecretUpdatePostgreSql",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-postgresql",
            "GatewayUpdateProducerPostgreSQL",
            "GatewayUpdateProducerPostgreSQLOutput",
        )
        .success(201),
    ],
    name_bytes_max: NAME_BYTES_MAX,
    fields: &Group {
        title: "PostgreSQL",
        fields: &[
            CREATION_STATEMENTS.spec(),
            REVOCATION_STATEMENT.spec(),
            USER_TTL.spec(),
            HOST.spec(),
            PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            DB_NAME.spec(),
            SSL.spec(),
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
    key: KEY,
    whereabouts: &["postgresql-host", "postgresql-port", "ssl"],
    details: &[
        ("postgres_creation_statements", "creation-statements"),
        ("postgres_revocation_statements", "revocation-statement"),
        ("db_host_name", "postgresql-host"),
        ("db_port", "postgresql-port"),
        ("db_user_name", "postgresql-username"),
        ("db_name", "postgresql-db-name"),
        ("ssl_connection_mode", "ssl"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: PostgresLike = PostgresLike {
    kind: &KIND,
    family: Family::Postgres,
    host: HOST,
    port: (PORT, "5432"),
    user: USERNAME,
    password: PASSWORD,
    database: DB_NAME,
    ssl: SSL,
    creation: (CREATION_STATEMENTS, CREATION),
    revocation: (Some(REVOCATION_STATEMENT), REVOCATION),
};
