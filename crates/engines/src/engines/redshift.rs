//! Users of Amazon Redshift, which speaks PostgreSQL's protocol.

use keysherd_targets::postgres::Family;
use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY, PASSWORD_LENGTH, REMOTE_HOSTS, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::postgres::{NAME_BYTES_MAX, PostgresLike};
use crate::{Kind, Spelling};

const CREATION_STATEMENTS: Field<Text> = Field::text(
    "creation-statements",
    "Statements that make a user, divided by ;, with {{username}} and {{password}}; without them \
     the user may read the tables of the schema public.",
);
const HOST: Field<Text> =
    Field::text("redshift-host", "The server, without a target.").default("127.0.0.1");
const PORT: Field<Text> =
    Field::text("redshift-port", "Its port, without a target.").default("5439");
const USERNAME: Field<Text> = Field::text(
    "redshift-username",
    "The user that makes and removes others there, without a target.",
);
const PASSWORD: Field<Text> = Field::text("redshift-password", "That user's password.").secret();
const DB_NAME: Field<Text> =
    Field::text("redshift-db-name", "The database to sign in to, unless the target says it.");
const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections, without a target; without a word they are, except to this machine.",
);

const CREATION: &str = "CREATE USER \"{{username}}\" WITH PASSWORD '{{password}}'; \
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{username}}\";";
/// V2 has no field for it.
const REVOCATION: &str = "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \"{{username}}\"; \
    REVOKE ALL ON SCHEMA public FROM \"{{username}}\"; \
    select pg_terminate_backend(process) from stv_sessions where trim(user_name) = '{{username}}'; \
    DROP USER \"{{username}}\";";

static KIND: Kind = Kind {
    name: "redshift",
    what: "an Amazon Redshift cluster",
    targets: &["redshift"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-redshift",
            "DynamicSecretCreateRedshift",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-redshift",
            "GatewayCreateProducerRedshift",
            "GatewayCreateProducerRedshiftOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-redshift",
            "DynamicSecretUpdateRedshift",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-redshift",
            "GatewayUpdateProducerRedshift",
            "GatewayUpdateProducerRedshiftOutput",
        )
        .success(201),
    ],
    name_bytes_max: NAME_BYTES_MAX,
    fields: &Group {
        title: "Redshift",
        fields: &[
            CREATION_STATEMENTS.spec(),
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
    remote: &REMOTE_HOSTS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY,
    whereabouts: &["redshift-host", "redshift-port", "ssl"],
    details: &[
        ("redshift_creation_statements", "creation-statements"),
        ("db_host_name", "redshift-host"),
        ("db_port", "redshift-port"),
        ("db_user_name", "redshift-username"),
        ("db_name", "redshift-db-name"),
        ("ssl_connection_mode", "ssl"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: PostgresLike = PostgresLike {
    kind: &KIND,
    family: Family::Redshift,
    host: HOST,
    port: (PORT, "5439"),
    user: USERNAME,
    password: PASSWORD,
    database: DB_NAME,
    ssl: SSL,
    creation: (CREATION_STATEMENTS, CREATION),
    revocation: (None, REVOCATION),
};
