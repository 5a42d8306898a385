//! What the member is called, and its settings.

use keysherd_wire::{Field, Group, List, Text};

use crate::fields::{KEY_NAME, REMOTE_NONE, USER_TTL};
use crate::{Kind, Spelling};

pub(super) const URL: Field<Text> =
    Field::text("ping-url", "Where PingFederate is, without a target.");
pub(super) const PORT: Field<Text> =
    Field::text("ping-administrative-port", "The port of its administrative API.").default("9999");
const TOKENS_PORT: Field<Text> =
    Field::text("ping-authorization-port", "The port where clients ask for tokens, for readers.")
        .default("9031");
pub(super) const USER: Field<Text> =
    Field::text("ping-privileged-user", "Who administers clients there, without a target.");
pub(super) const PASSWORD: Field<Text> = Field::text("ping-password", "Their password.").secret();
pub(super) const AUTH_TYPE: Field<Text> = Field::text(
    "ping-client-authentication-type",
    "How clients sign in: CLIENT_SECRET, CERTIFICATE or PRIVATE_KEY_JWT.",
)
.default("CLIENT_SECRET");
pub(super) const GRANTS: Field<List> = Field::list(
    "ping-grant-types",
    "What clients may ask for tokens with; AUTHORIZATION_CODE otherwise.",
);
pub(super) const REDIRECTS: Field<List> =
    Field::list("ping-redirect-uris", "Where browsers may be sent back to.");
pub(super) const SCOPES: Field<List> =
    Field::list("ping-restricted-scopes", "The only scopes that clients get; none: all.");
pub(super) const TOKEN_MANAGER: Field<Text> =
    Field::text("ping-atm-id", "The id of the access token manager.");
pub(super) const ISSUER_DN: Field<Text> = Field::text(
    "ping-issuer-dn",
    "Who issued the certificates of clients; any that PingFederate trusts otherwise.",
);
pub(super) const SUBJECT_DN: Field<Text> =
    Field::text("ping-cert-subject-dn", "The subject of their certificates, with CERTIFICATE.");
pub(super) const JWKS: Field<Text> =
    Field::text("ping-jwks", "The public keys of clients, with PRIVATE_KEY_JWT.");
pub(super) const JWKS_URL: Field<Text> =
    Field::text("ping-jwks-url", "Where those keys are, instead.");
pub(super) const SIGNING: Field<Text> =
    Field::text("ping-signing-algo", "With which algorithm they sign, such as RS256.");
pub(super) const REPLAY: Field<Text> = Field::text(
    "ping-enforce-replay-prevention",
    "Whether what they signed is taken only once: true or false.",
)
.default("false");

pub(super) static KIND: Kind = Kind {
    name: "ping",
    what: "a PingFederate",
    targets: &["ping"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-ping",
            "DynamicSecretCreatePing",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-ping",
            "GatewayCreateProducerPing",
            "GatewayCreateProducerPingOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-ping",
            "DynamicSecretUpdatePing",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-ping",
            "GatewayUpdateProducerPing",
            "GatewayUpdateProducerPingOutput",
        )
        .success(201),
    ],
    name_bytes_max: 100,
    fields: &Group {
        title: "PingFederate",
        fields: &[
            AUTH_TYPE.spec(),
            GRANTS.spec(),
            REDIRECTS.spec(),
            SCOPES.spec(),
            TOKEN_MANAGER.spec(),
            ISSUER_DN.spec(),
            SUBJECT_DN.spec(),
            JWKS.spec(),
            JWKS_URL.spec(),
            SIGNING.spec(),
            REPLAY.spec(),
            USER_TTL.spec(),
            URL.spec(),
            PORT.spec(),
            TOKENS_PORT.spec(),
            USER.spec(),
            PASSWORD.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["ping-url", "ping-administrative-port", "ping-privileged-user"],
    details: &[
        ("ping_url", "ping-url"),
        ("administrative_port", "ping-administrative-port"),
        ("authorization_port", "ping-authorization-port"),
        ("privileged_user", "ping-privileged-user"),
        ("client_authentication_type", "ping-client-authentication-type"),
        ("grant_types", "ping-grant-types"),
        ("redirect_uris", "ping-redirect-uris"),
        ("restricted_scopes", "ping-restricted-scopes"),
        ("access_token_manager_id", "ping-atm-id"),
        ("issuer", "ping-issuer-dn"),
        ("subject_dn", "ping-cert-subject-dn"),
        ("jwks", "ping-jwks"),
        ("jwks_url", "ping-jwks-url"),
        ("signing_algorithm", "ping-signing-algo"),
    ],
    json_details: &[],
    wrapped: true,
};
