//! The settings of entries in directories.

use keysherd_wire::{Field, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_DIRECTORIES, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const URL: Field<Text> = Field::text(
    "ldap-url",
    "The directory, without a target, such as ldaps://directory.example:636.",
);
pub(super) const BIND_DN: Field<Text> =
    Field::text("bind-dn", "The name of who makes and removes entries there, without a target.");
pub(super) const BIND_PASSWORD: Field<Text> =
    Field::text("bind-dn-password", "The password of that name.").secret();
pub(super) const AUTHORITY: Field<Text> = Field::text(
    "ldap-ca-cert",
    "Certificates of the authorities that vouch for it, PEM or that in base64.",
);
pub(super) const USER_DN: Field<Text> =
    Field::text("user-dn", "Where entries are made, such as ou=temporary,dc=example.");
pub(super) const USER_ATTRIBUTE: Field<Text> =
    Field::text("user-attribute", "The attribute that entries are named by.").default("cn");
pub(super) const GROUP_DN: Field<Text> =
    Field::text("group-dn", "A group that entries are put into, such as cn=dbas,dc=example.");
pub(super) const EXTERNAL: Field<Text> = Field::text(
    "external-username",
    "Whether people have entries already, and are only put into the group.",
)
.default("false")
.choices(&["true", "false"]);
pub(super) const CLAIM: Field<Text> = Field::text(
    "fixed-user-claim-keyname",
    "The claim of the caller that says whose entry it is, with external-username.",
)
.default("ext_username");
const TOKEN_EXPIRATION: Field<Text> =
    Field::text("token-expiration", "Kept for clients that read it.");

pub(super) static KIND: Kind = Kind {
    name: "ldap",
    what: "a directory",
    targets: &["ldap"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-ldap",
            "DynamicSecretCreateLdap",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-ldap",
            "GatewayCreateProducerLdap",
            "GatewayCreateProducerLdapOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-ldap",
            "DynamicSecretUpdateLdap",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-ldap",
            "GatewayUpdateProducerLdap",
            "GatewayUpdateProducerLdapOutput",
        )
        .success(201),
    ],
    // The upper bound of a common name (X.520).
    name_bytes_max: 64,
    fields: &Group {
        title: "Directory",
        fields: &[
            USER_DN.spec(),
            USER_ATTRIBUTE.spec(),
            GROUP_DN.spec(),
            EXTERNAL.spec(),
            CLAIM.spec(),
            USER_TTL.spec(),
            URL.spec(),
            BIND_DN.spec(),
            BIND_PASSWORD.spec(),
            AUTHORITY.spec(),
            TOKEN_EXPIRATION.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_DIRECTORIES,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["ldap-url", "ldap-ca-cert"],
    details: &[
        ("ldap_url", "ldap-url"),
        ("ldap_bind_dn", "bind-dn"),
        ("ldap_certificate", "ldap-ca-cert"),
        ("ldap_user_dn", "user-dn"),
        ("ldap_user_attr", "user-attribute"),
        ("ldap_group_dn", "group-dn"),
        ("ldap_token_expiration", "token-expiration"),
        ("externally_provided_user", "external-username"),
        ("ldap_fixed_user_name_sub_claim_key", "fixed-user-claim-keyname"),
    ],
    json_details: &[],
    wrapped: true,
};
