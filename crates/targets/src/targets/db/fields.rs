//! The settings of database targets, and where V2 shows them.

use keysherd_wire::{Field, Flag, Group, Text};

/// How one signs in to a server.
pub(super) const CONNECTIONS: [&str; 4] =
    ["credentials", "cloud-identity", "wallet", "parent-target"];

/// A text that older clients send as `dummy_value` for "not given".
const fn text(name: &'static str, help: &'static str) -> Field<Text> {
    Field::text(name, help).sentinel("dummy_value")
}

pub(super) const DB_TYPE: Field<Text> = text(
    "db-type",
    "What server it is: postgres, redshift, mysql, redis, mssql, oracle, mongodb, snowflake, \
     cassandra or hanadb.",
);
pub(super) const CONNECTION_TYPE: Field<Text> =
    text("connection-type", "How to sign in; this version does with credentials.")
        .default("credentials")
        .choices(&CONNECTIONS);
pub(super) const HOST: Field<Text> = text("host", "The server's name or address.");
pub(super) const PORT: Field<Text> = text("port", "Its port; without one, its type's usual port.");
pub(super) const USER_NAME: Field<Text> =
    text("user-name", "The user that makes and removes other users there.");
pub(super) const PWD: Field<Text> = text("pwd", "That user's password.").secret();
pub(super) const DB_NAME: Field<Text> = text("db-name", "The database to sign in to.");
pub(super) const SSL: Field<Flag> = Field::flag(
    "ssl",
    "Encrypt connections; without a word they are, except to servers on the gateway's machine.",
);
pub(super) const SSL_CERTIFICATE: Field<Text> = text(
    "ssl-certificate",
    "Certificates of the authorities that vouch for the server, PEM or that in base64; none: those \
     of the gateway's machine.",
);
pub(super) const DB_SERVER_CERTIFICATES: Field<Text> =
    text("db-server-certificates", "The same, under the name that some clients use.");
pub(super) const DB_SERVER_NAME: Field<Text> =
    text("db-server-name", "The name in the server's certificate, when it is not its host's.");
pub(super) const ENABLE_MTLS: Field<Flag> =
    Field::flag("enable-mtls", "Show the server a client certificate.");
pub(super) const CLIENT_CERTIFICATE: Field<Text> =
    text("client-certificate", "That certificate, in PEM.");
pub(super) const CLIENT_PRIVATE_KEY: Field<Text> =
    text("client-private-key", "Its key, in PEM, not encrypted.").secret();
pub(super) const CLIENT_KEY_PASSPHRASE: Field<Text> =
    text("client-key-passphrase", "The passphrase of an encrypted key, which is not read.")
        .secret();
const SKIP_SERVER_NAME_VALIDATION: Field<Text> = text(
    "skip-server-name-validation",
    "Kept for clients that read it; names are always checked, see db-server-name.",
);
pub(super) const ORACLE_SERVICE_NAME: Field<Text> =
    text("oracle-service-name", "The service of an Oracle server.");
const ORACLE_WALLET_LOGIN_TYPE: Field<Text> =
    text("oracle-wallet-login-type", "How a wallet signs in to an Oracle server.");
const ORACLE_WALLET_P12: Field<Text> =
    text("oracle-wallet-p12-file-data", "The wallet as PKCS#12, in base64.").secret();
const ORACLE_WALLET_SSO: Field<Text> =
    text("oracle-wallet-sso-file-data", "The wallet for automatic login, in base64.").secret();
pub(super) const MONGODB_ATLAS: Field<Flag> =
    Field::flag("mongodb-atlas", "The server is MongoDB Atlas.");
pub(super) const ATLAS_PROJECT: Field<Text> =
    text("mongodb-atlas-project-id", "The project in MongoDB Atlas.");
const ATLAS_PUBLIC: Field<Text> =
    text("mongodb-atlas-api-public-key", "The public key of MongoDB Atlas' API.");
const ATLAS_PRIVATE: Field<Text> =
    text("mongodb-atlas-api-private-key", "The private key of MongoDB Atlas' API.").secret();
pub(super) const MONGODB_AUTH_DB: Field<Text> =
    text("mongodb-default-auth-db", "The database that MongoDB's users are in.");
pub(super) const MONGODB_URI_OPTIONS: Field<Text> =
    text("mongodb-uri-options", "Further options of a MongoDB address.");
pub(super) const SNOWFLAKE_ACCOUNT: Field<Text> =
    text("snowflake-account", "The account of Snowflake.");
pub(super) const SNOWFLAKE_KEY: Field<Text> =
    text("snowflake-api-private-key", "The private key of Snowflake's user.").secret();
pub(super) const SNOWFLAKE_KEY_PASSWORD: Field<Text> =
    text("snowflake-api-private-key-password", "That key's passphrase.").secret();
const AZURE_CLIENT_ID: Field<Text> =
    text("azure-client-id", "The application that signs in, for Azure's databases.");
const AZURE_CLIENT_SECRET: Field<Text> =
    text("azure-client-secret", "That application's secret.").secret();
const AZURE_TENANT_ID: Field<Text> = text("azure-tenant-id", "The tenant it is in.");
const CLOUD_PROVIDER: Field<Text> =
    text("cloud-service-provider", "Whose cloud the server is in: AWS, Azure or GCP.");
const CLUSTER_MODE: Field<Flag> = Field::flag("cluster-mode", "The server is a cluster of Redis.");

/// The settings.
pub(super) static FIELDS: Group = Group {
    title: "Database server",
    fields: &[
        DB_TYPE.spec(),
        CONNECTION_TYPE.spec(),
        HOST.spec(),
        PORT.spec(),
        USER_NAME.spec(),
        PWD.spec(),
        DB_NAME.spec(),
        SSL.spec(),
        SSL_CERTIFICATE.spec(),
        DB_SERVER_CERTIFICATES.spec(),
        DB_SERVER_NAME.spec(),
        ENABLE_MTLS.spec(),
        CLIENT_CERTIFICATE.spec(),
        CLIENT_PRIVATE_KEY.spec(),
        CLIENT_KEY_PASSPHRASE.spec(),
        SKIP_SERVER_NAME_VALIDATION.spec(),
        ORACLE_SERVICE_NAME.spec(),
        ORACLE_WALLET_LOGIN_TYPE.spec(),
        ORACLE_WALLET_P12.spec(),
        ORACLE_WALLET_SSO.spec(),
        MONGODB_ATLAS.spec(),
        ATLAS_PROJECT.spec(),
        ATLAS_PUBLIC.spec(),
        ATLAS_PRIVATE.spec(),
        MONGODB_AUTH_DB.spec(),
        MONGODB_URI_OPTIONS.spec(),
        SNOWFLAKE_ACCOUNT.spec(),
        SNOWFLAKE_KEY.spec(),
        SNOWFLAKE_KEY_PASSWORD.spec(),
        AZURE_CLIENT_ID.spec(),
        AZURE_CLIENT_SECRET.spec(),
        AZURE_TENANT_ID.spec(),
        CLOUD_PROVIDER.spec(),
        CLUSTER_MODE.spec(),
    ],
};

/// What says where the server is, and who is believed to be it.
pub(super) const WHEREABOUTS: &[&str] = &[
    "azure-tenant-id",
    "cloud-service-provider",
    "connection-type",
    "db-server-certificates",
    "db-server-name",
    "db-type",
    "host",
    "mongodb-atlas",
    // Users are of the database that they were made in.
    "mongodb-default-auth-db",
    "mongodb-uri-options",
    "port",
    "snowflake-account",
    "ssl",
    "ssl-certificate",
];

/// V2's `DbTargetDetails` with the settings behind its fields.
pub(super) const DETAILS: &[(&str, &str)] = &[
    ("client_certificate", "client-certificate"),
    ("client_key_passphrase", "client-key-passphrase"),
    ("client_private_key", "client-private-key"),
    ("cloud_service_provider", "cloud-service-provider"),
    ("cluster_mode", "cluster-mode"),
    ("connection_type", "connection-type"),
    ("db_client_id", "azure-client-id"),
    ("db_client_secret", "azure-client-secret"),
    ("db_host_name", "host"),
    ("db_name", "db-name"),
    ("db_port", "port"),
    ("db_private_key", "snowflake-api-private-key"),
    ("db_private_key_passphrase", "snowflake-api-private-key-password"),
    ("db_pwd", "pwd"),
    ("db_server_certificates", "db-server-certificates"),
    ("db_server_name", "db-server-name"),
    ("db_tenant_id", "azure-tenant-id"),
    ("db_user_name", "user-name"),
    ("enable_mtls", "enable-mtls"),
    ("sf_account", "snowflake-account"),
    ("skip_server_name_validation", "skip-server-name-validation"),
    ("ssl_connection_certificate", "ssl-certificate"),
    ("ssl_connection_mode", "ssl"),
];

/// V2's `WalletDetails`.
pub(super) const WALLET_DETAILS: &[(&str, &str)] = &[
    ("login_type", "oracle-wallet-login-type"),
    ("p12_data_base64", "oracle-wallet-p12-file-data"),
    ("sso_data_base64", "oracle-wallet-sso-file-data"),
];

/// V2's `MongoDBTargetDetails`.
pub(super) const MONGO_DETAILS: &[(&str, &str)] = &[
    ("mongodb_atlas_api_private_key", "mongodb-atlas-api-private-key"),
    ("mongodb_atlas_api_public_key", "mongodb-atlas-api-public-key"),
    ("mongodb_atlas_project_id", "mongodb-atlas-project-id"),
    ("mongodb_db_name", "db-name"),
    ("mongodb_default_auth_db", "mongodb-default-auth-db"),
    ("mongodb_is_atlas", "mongodb-atlas"),
    ("mongodb_password", "pwd"),
    ("mongodb_uri_options", "mongodb-uri-options"),
    ("mongodb_username", "user-name"),
];
