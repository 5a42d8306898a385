//! The settings of MySQL's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_DATABASES, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

// V2 spells it with an s too many.
pub(super) const CREATION_STATEMENTS: Field<Text> = Field::text(
    "mysql-screation-statements",
    "Statements that make a user, divided by ;, with {{name}} and {{password}}; without them the \
     user may read everything.",
);
pub(super) const REVOCATION_STATEMENTS: Field<Text> = Field::text(
    "mysql-revocation-statements",
    "Statements that remove a user, divided by ;, with {{name}}.",
);
pub(super) const HOST: Field<Text> =
    Field::text("mysql-host", "The server, without a target.").default("127.0.0.1");
pub(super) const PORT: Field<Text> =
    Field::text("mysql-port", "Its port, without a target.").default("3306");
pub(super) const USERNAME: Field<Text> = Field::text(
    "mysql-username",
    "The user that makes and removes others there, without a target.",
);
pub(super) const PASSWORD: Field<Text> =
    Field::text("mysql-password", "That user's password.").secret();
pub(super) const DB_NAME: Field<Text> =
    Field::text("mysql-dbname", "The database to sign in to, unless the target says it.");
pub(super) const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections, without a target; without a word they are, except to this machine.",
);
pub(super) const SSL_CERTIFICATE: Field<Text> = Field::text(
    "ssl-certificate",
    "Certificates of the authorities that vouch for the server, PEM or that in base64.",
);
pub(super) const DB_SERVER_CERTIFICATES: Field<Text> =
    Field::text("db-server-certificates", "The same, under the name that some clients use.");
pub(super) const DB_SERVER_NAME: Field<Text> = Field::text(
    "db-server-name",
    "The name in the server's certificate, when it is not its host's.",
);

/// What a user gets when nobody says what.
pub(super) const CREATION: &str = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}' \
    PASSWORD EXPIRE INTERVAL 30 DAY;GRANT SELECT ON *.* TO '{{name}}'@'%';";
/// How it goes.
pub(super) const REVOCATION: &str =
    "REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{{name}}'@'%'; DROP USER '{{name}}'@'%';";

pub(super) static KIND: Kind = Kind {
    name: "mysql",
    what: "a MySQL or MariaDB server",
    targets: &["mysql"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-mysql",
            "DynamicSecretCreateMySql",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-mysql",
            "GatewayCreateProducerMySQL",
            "GatewayCreateProducerMySQLOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-mysql",
            "DynamicSecretUpdateMySql",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-mysql",
            "GatewayUpdateProducerMySQL",
            "GatewayUpdateProducerMySQLOutput",
        )
        .success(201),
    ],
    // MySQL's, which is shorter than MariaDB's 80.
    name_bytes_max: 32,
    fields: &Group {
        title: "MySQL",
        fields: &[
            CREATION_STATEMENTS.spec(),
            REVOCATION_STATEMENTS.spec(),
            USER_TTL.spec(),
            HOST.spec(),
            PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            DB_NAME.spec(),
            SSL.spec(),
            SSL_CERTIFICATE.spec(),
            DB_SERVER_CERTIFICATES.spec(),
            DB_SERVER_NAME.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_DATABASES,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &[
        "mysql-host",
        "mysql-port",
        "ssl",
        "ssl-certificate",
        "db-server-certificates",
        "db-server-name",
    ],
    details: &[
        ("mysql_creation_statements", "mysql-screation-statements"),
        ("mysql_revocation_statements", "mysql-revocation-statements"),
        ("db_host_name", "mysql-host"),
        ("db_port", "mysql-port"),
        ("db_user_name", "mysql-username"),
        ("db_name", "mysql-dbname"),
        ("db_server_certificates", "db-server-certificates"),
        ("db_server_name", "db-server-name"),
        ("ssl_connection_mode", "ssl"),
        ("ssl_connection_certificate", "ssl-certificate"),
    ],
    json_details: &[],
    wrapped: true,
};
