//! The settings of MongoDB's dynamic secrets, and what the member is called.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_DATABASES, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const ROLES: Field<Text> = Field::text(
    "mongodb-roles",
    "The user's roles as a JSON list, such as [{\"role\": \"read\", \"db\": \"sales\"}].",
)
.default("[]");
pub(super) const CUSTOM_DATA: Field<Text> =
    Field::text("mongodb-custom-data", "What else the user has, as a JSON object.");
pub(super) const SCOPES: Field<Text> = Field::text(
    "mongodb-scopes",
    "Clusters of MongoDB Atlas, which this version does not drive; refused.",
);
pub(super) const NAME: Field<Text> =
    Field::text("mongodb-name", "The database of roles that do not say theirs.");
pub(super) const AUTH_DB: Field<Text> = Field::text(
    "mongodb-default-auth-db",
    "The database that users are made in, unless the target says it; without one, admin.",
);
pub(super) const SERVER_URI: Field<Text> = Field::text(
    "mongodb-server-uri",
    "The server with who makes and removes users there, without a target, such as \
     mongodb://user:password@host:port/?tls=true.",
)
.secret();
pub(super) const HOST_PORT: Field<Text> = Field::text(
    "mongodb-host-port",
    "The server, without a target and without an address: host:port, or all members of a replica \
     set with commas between.",
);
pub(super) const USERNAME: Field<Text> =
    Field::text("mongodb-username", "The user that makes and removes others there.");
pub(super) const PASSWORD: Field<Text> =
    Field::text("mongodb-password", "That user's password.").secret();
pub(super) const URI_OPTIONS: Field<Text> = Field::text(
    "mongodb-uri-options",
    "Options as addresses have them, such as tls=true&authSource=admin; without tls, connections \
     are encrypted, except to this machine.",
);
pub(super) const ATLAS_PROJECT: Field<Text> = Field::text(
    "mongodb-atlas-project-id",
    "A project of MongoDB Atlas, which this version does not drive; refused.",
);
pub(super) const ATLAS_PUBLIC: Field<Text> =
    Field::text("mongodb-atlas-api-public-key", "The public key of MongoDB Atlas' API; refused.");
pub(super) const ATLAS_PRIVATE: Field<Text> =
    Field::text("mongodb-atlas-api-private-key", "The private key of MongoDB Atlas' API; refused.")
        .secret();

pub(super) static KIND: Kind = Kind {
    name: "mongodb",
    what: "a MongoDB server",
    targets: &["mongodb"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-mongodb",
            "DynamicSecretCreateMongoDb",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-mongo",
            "GatewayCreateProducerMongo",
            "GatewayCreateProducerMongoOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-mongodb",
            "DynamicSecretUpdateMongoDb",
            "DynamicSecretUpdateOutput",
        ),
        // As official clients up to 5.0.23 for JavaScript call it.
        Spelling::current(
            "dynamic-secret-update-mongo",
            "DynamicSecretUpdateMongoDb",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-mongo",
            "GatewayUpdateProducerMongo",
            "GatewayUpdateProducerMongoOutput",
        )
        .success(201),
    ],
    // A choice, MongoDB has no limit.
    name_bytes_max: 63,
    fields: &Group {
        title: "MongoDB",
        fields: &[
            ROLES.spec(),
            CUSTOM_DATA.spec(),
            USER_TTL.spec(),
            SERVER_URI.spec(),
            HOST_PORT.spec(),
            USERNAME.spec(),
            PASSWORD.spec(),
            AUTH_DB.spec(),
            NAME.spec(),
            URI_OPTIONS.spec(),
            ATLAS_PROJECT.spec(),
            ATLAS_PUBLIC.spec(),
            ATLAS_PRIVATE.spec(),
            SCOPES.spec(),
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
        "mongodb-server-uri",
        "mongodb-host-port",
        "mongodb-uri-options",
        "mongodb-atlas-project-id",
    ],
    details: &[
        ("mongodb_roles", "mongodb-roles"),
        ("mongodb_custom_data", "mongodb-custom-data"),
        ("mongodb_scopes", "mongodb-scopes"),
        ("mongodb_db_name", "mongodb-name"),
        ("mongodb_default_auth_db", "mongodb-default-auth-db"),
        ("mongodb_host_port", "mongodb-host-port"),
        ("mongodb_username", "mongodb-username"),
        ("mongodb_uri_options", "mongodb-uri-options"),
        ("mongodb_atlas_project_id", "mongodb-atlas-project-id"),
        ("mongodb_atlas_api_public_key", "mongodb-atlas-api-public-key"),
    ],
    json_details: &[],
    wrapped: true,
};
