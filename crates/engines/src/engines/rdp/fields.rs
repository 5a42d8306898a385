//! The settings of users of Windows machines.

use keysherd_wire::{Field, Group, Int, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_DESKTOPS, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::host_key::HOST_KEY;
use crate::windows::USER_CHARS_MAX;
use crate::{Kind, Spelling};

pub(super) const HOST: Field<Text> =
    Field::text("rdp-host-name", "The machine's name or address, without a target.");
pub(super) const PORT: Field<Text> =
    Field::text("rdp-host-port", "The port of its SSH server, without an ssh target.")
        .default("22");
pub(super) const ADMIN: Field<Text> = Field::text(
    "rdp-admin-name",
    "The administrator who makes and removes users there, without a target.",
);
pub(super) const ADMIN_PASSWORD: Field<Text> =
    Field::text("rdp-admin-pwd", "That administrator's password.").secret();
pub(super) const GROUPS: Field<Text> = Field::text(
    "rdp-user-groups",
    "Local groups that users are put into, by name or security identifier, with commas between \
     them; none: Remote Desktop Users.",
);
pub(super) const FIXED: Field<Text> = Field::text(
    "fixed-user-only",
    "Whether people have a local user already, who is let in for a while with a password of the \
     lease's own, and is disabled otherwise.",
)
.default("false")
.choices(&["true", "false"]);
pub(super) const CLAIM: Field<Text> = Field::text(
    "fixed-user-claim-keyname",
    "The claim of the caller that says whose user it is, with fixed-user-only.",
)
.default("ext_username");
pub(super) const EXTEND: Field<Int> = Field::int(
    "allow-user-extend-session",
    "Kept for clients that read it: minutes before the end from which people may extend a session.",
);
pub(super) const WARN: Field<Int> = Field::int(
    "warn-user-before-expiration",
    "Kept for clients that read it: minutes before the end at which people are warned.",
);

pub(super) static KIND: Kind = Kind {
    name: "rdp",
    what: "a Windows machine",
    targets: &["ssh", "windows"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-rdp",
            "DynamicSecretCreateRdp",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-rdp",
            "GatewayCreateProducerRdp",
            "GatewayCreateProducerRdpOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-rdp",
            "DynamicSecretUpdateRdp",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-rdp",
            "GatewayUpdateProducerRdp",
            "GatewayUpdateProducerRdpOutput",
        )
        .success(201),
    ],
    name_bytes_max: USER_CHARS_MAX,
    fields: &Group {
        title: "Windows",
        fields: &[
            GROUPS.spec(),
            FIXED.spec(),
            CLAIM.spec(),
            USER_TTL.spec(),
            HOST_KEY.spec(),
            HOST.spec(),
            PORT.spec(),
            ADMIN.spec(),
            ADMIN_PASSWORD.spec(),
            EXTEND.spec(),
            WARN.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_DESKTOPS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["rdp-host-name", "rdp-host-port", "host-key"],
    details: &[
        ("host_name", "rdp-host-name"),
        ("host_port", "rdp-host-port"),
        ("admin_name", "rdp-admin-name"),
        ("groups", "rdp-user-groups"),
        ("fixed_user_only", "fixed-user-only"),
        ("rdp_fixed_user_name_sub_claim_key", "fixed-user-claim-keyname"),
        ("session_extension_warn_interval_min", "allow-user-extend-session"),
        ("warn_before_user_expiration_min", "warn-user-before-expiration"),
    ],
    json_details: &[],
    wrapped: true,
};
