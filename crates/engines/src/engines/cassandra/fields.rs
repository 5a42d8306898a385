//! The settings of Cassandra's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const CREATION_STATEMENTS: Field<Text> = Field::text(
    "cassandra-creation-statements",
    "Statements that make a role, divided by ;, with {{username}} and {{password}}; without them \
     the role may read everything.",
);
pub(super) const HOSTS: Field<Text> = Field::text(
    "cassandra-hosts",
    "Nodes of the cluster, without a target, with commas between; they are asked in turn.",
);
pub(super) const PORT: Field<Text> =
    Field::text("cassandra-port", "Their port, without a target.").default("9042");
pub(super) const USERNAME: Field<Text> = Field::text(
    "cassandra-username",
    "The role that makes and removes others there, without a target.",
);
pub(super) const PASSWORD: Field<Text> =
    Field::text("cassandra-password", "That role's password.").secret();
pub(super) const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections, without a target; without a word they are, except to this machine.",
);
pub(super) const SSL_CERTIFICATE: Field<Text> = Field::text(
    "ssl-certificate",
    "Certificates of the authorities that vouch for the nodes, PEM or that in base64.",
);

/// What a role gets when nobody says what.
pub(super) const CREATION: &str = "CREATE ROLE '{{username}}' WITH PASSWORD = '{{password}}' AND \
    LOGIN = true; GRANT SELECT ON ALL KEYSPACES TO '{{username}}';";

pub(super) static KIND: Kind = Kind {
    name: "cassandra",
    what: "a Cassandra cluster",
    targets: &["cassandra"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-cassandra",
            "DynamicSecretCreateCassandra",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-cassandra",
            "GatewayCreateProducerCassandra",
            "GatewayCreateProducerCassandraOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-cassandra",
            "DynamicSecretUpdateCassandra",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-cassandra",
            "GatewayUpdateProducerCassandra",
            "GatewayUpdateProducerCassandraOutput",
        )
        .success(201),
    ],
    // A choice, Cassandra has no limit.
    name_bytes_max: 63,
    fields: &Group {
        title: "Cassandra",
        fields: &[
            CREATION_STATEMENTS.spec(),
            USER_TTL.spec(),
            HOSTS.spec(),
            PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            SSL.spec(),
            SSL_CERTIFICATE.spec(),
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
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["cassandra-hosts", "cassandra-port", "ssl", "ssl-certificate"],
    details: &[
        ("cassandra_creation_statements", "cassandra-creation-statements"),
        ("db_host_name", "cassandra-hosts"),
        ("db_port", "cassandra-port"),
        ("db_user_name", "cassandra-username"),
        ("ssl_connection_mode", "ssl"),
        ("ssl_connection_certificate", "ssl-certificate"),
    ],
    json_details: &[],
    wrapped: true,
};
