//! The settings of certificates.

use keysherd_wire::{Field, Flag, Group, Int, List, Text};

use crate::fields::{KEY_NAME, REMOTE_NONE};
use crate::{Kind, Spelling};

pub(super) const URL: Field<Text> = Field::text(
    "venafi-baseurl",
    "Where the Trust Protection Platform is, such as https://tpp.example.",
);
pub(super) const TOKEN: Field<Text> = Field::text(
    "venafi-access-token",
    "An access token of it, with the scope certificate:manage,revoke.",
)
.secret();
pub(super) const ZONE: Field<Text> =
    Field::text("venafi-zone", "The policy folder of certificates, such as Certificates\\Apps.");
pub(super) const TPP: Field<Flag> = Field::flag(
    "venafi-use-tpp",
    "Whether it is a Trust Protection Platform; must be true, as the cloud is not served yet.",
);
pub(super) const DOMAINS: Field<List> = Field::list(
    "allowed-domains",
    "Whom certificates may be for: what callers say as common_name is one of these.",
);
pub(super) const SUBDOMAINS: Field<Flag> =
    Field::flag("allow-subdomains", "Whether it may be below one of them, too.");
pub(super) const ROOT_FIRST: Field<Flag> =
    Field::flag("root-first-in-chain", "Whether chains begin with the root.");
pub(super) const OWN_PKI: Field<Flag> =
    Field::flag("sign-using-akeyless-pki", "Must be false; make a PKI certificate issuer for it.");
pub(super) const STORE_KEY: Field<Flag> =
    Field::flag("store-private-key", "Must be false: private keys are stored by nobody.");
pub(super) const ADMIN_ROTATION: Field<Flag> =
    Field::flag("enable-admin-rotation", "Must be false: tokens are not rotated yet.");
const ROTATION_DAYS: Field<Int> =
    Field::int("admin-rotation-interval-days", "Accepted; tokens are not rotated yet.").inert();
const FOLDER: Field<Text> =
    Field::text("auto-generated-folder", "Accepted; certificates are stored by nobody.").inert();
const SIGNER: Field<Text> =
    Field::text("signer-key-name", "Accepted, as for sign-using-akeyless-pki.").inert();
const API_KEY: Field<Text> =
    Field::text("venafi-api-key", "Accepted and not kept; Venafi's cloud is not served yet.")
        .secret()
        .inert();
const CLIENT: Field<Text> =
    Field::text("venafi-client-id", "Accepted; tokens are not rotated yet.").inert();
const REFRESH: Field<Text> =
    Field::text("venafi-refresh-token", "Accepted and not kept; tokens are not rotated yet.")
        .secret()
        .inert();
const TTL: Field<Text> =
    Field::text("user-ttl", "How long certificates are valid, such as 720h.").default("2160h");

pub(super) static KIND: Kind = Kind {
    name: "venafi",
    what: "a Venafi Trust Protection Platform",
    // V2 has no command that makes such a target.
    targets: &["venafi"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-venafi",
            "DynamicSecretCreateVenafi",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-certificate-automation",
            "GatewayCreateProducerVenafi",
            "GatewayCreateProducerVenafiOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-venafi",
            "DynamicSecretUpdateVenafi",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-certificate-automation",
            "GatewayUpdateProducerVenafi",
            "GatewayUpdateProducerVenafiOutput",
        )
        .success(201),
    ],
    name_bytes_max: 64,
    fields: &Group {
        title: "Venafi",
        fields: &[
            DOMAINS.spec(),
            SUBDOMAINS.spec(),
            ROOT_FIRST.spec(),
            TTL.spec(),
            URL.spec(),
            TOKEN.spec(),
            ZONE.spec(),
            TPP.spec(),
            OWN_PKI.spec(),
            STORE_KEY.spec(),
            ADMIN_ROTATION.spec(),
            ROTATION_DAYS.spec(),
            FOLDER.spec(),
            SIGNER.spec(),
            API_KEY.spec(),
            CLIENT.spec(),
            REFRESH.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: TTL,
    ttl_default: "2160h",
    key: KEY_NAME,
    whereabouts: &["venafi-baseurl"],
    details: &[
        ("venafi_base_url", "venafi-baseurl"),
        ("venafi_zone", "venafi-zone"),
        ("venafi_use_tpp", "venafi-use-tpp"),
        ("venafi_allowed_domains", "allowed-domains"),
        ("venafi_allow_subdomains", "allow-subdomains"),
        ("venafi_root_first_in_chain", "root-first-in-chain"),
    ],
    json_details: &[],
    wrapped: true,
};
