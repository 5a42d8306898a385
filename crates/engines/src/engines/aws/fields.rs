//! The settings of credentials at AWS.

use keysherd_base::Fault;
use keysherd_targets::aws::{Aws, AwsGiven, REGION as USUAL_REGION};
use keysherd_targets::{Named, aws_account};
use keysherd_wire::{Field, Flag, Group, Int, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_AWS, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL, need_type,
};
use crate::{Kind, Settings, Spelling, TargetUse};

pub(super) const MODE: Field<Text> = Field::text(
    "access-mode",
    "What is made: iam_user, a user with an access key, or assume_role, a session of a role.",
)
.default("iam_user")
.choices(&["iam_user", "assume_role", "assumed_role"]);
const KEY_ID: Field<Text> = Field::text(
    "aws-access-key-id",
    "The id of the access key that makes and removes users, without a target.",
);
const KEY: Field<Text> =
    Field::text("aws-access-secret-key", "The secret of that access key.").secret();
const REGION: Field<Text> =
    Field::text("region", "The region, without a target.").default(USUAL_REGION);
pub(super) const POLICIES: Field<Text> =
    Field::text("aws-user-policies", "ARNs of policies that users get, with commas between.");
pub(super) const GROUPS: Field<Text> =
    Field::text("aws-user-groups", "Groups that users are put into, with commas between.");
pub(super) const CONSOLE: Field<Flag> =
    Field::flag("aws-user-console-access", "Whether users get a password for the console.")
        .default("false");
pub(super) const PROGRAMMATIC: Field<Flag> =
    Field::flag("aws-user-programmatic-access", "Whether users get an access key.").default("true");
pub(super) const ROLES: Field<Text> = Field::text(
    "aws-role-arns",
    "ARNs of roles with commas between, of which callers choose one with role_arn.",
);
pub(super) const EXTERNAL_ID: Field<Text> =
    Field::text("aws-external-id", "What the roles demand to know of who assumes them.");
pub(super) const SESSION_TAGS: Field<Text> =
    Field::text("session-tags", "Tags of sessions with commas between, such as who={{ .email }}.");
pub(super) const TRANSITIVE: Field<Text> = Field::text(
    "transitive-tag-keys",
    "Keys of tags that go on to further roles, with commas between.",
);
pub(super) const ROTATE: Field<Flag> =
    Field::flag("enable-admin-rotation", "Whether the access key is rotated; must be false.")
        .default("false");
const ROTATE_DAYS: Field<Int> =
    Field::int("admin-rotation-interval-days", "Days between two rotations; kept, without effect.")
        .default("0");

pub(super) static KIND: Kind = Kind {
    name: "aws",
    what: "an AWS account",
    targets: &["aws"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-aws",
            "DynamicSecretCreateAws",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-aws",
            "GatewayCreateProducerAws",
            "GatewayCreateProducerAwsOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-aws",
            "DynamicSecretUpdateAws",
            "DynamicSecretUpdateOutput",
        )
        .success(200),
        Spelling::older(
            "gateway-update-producer-aws",
            "GatewayUpdateProducerAws",
            "GatewayUpdateProducerAwsOutput",
        ),
    ],
    // Of users and of sessions.
    name_bytes_max: 64,
    fields: &Group {
        title: "AWS",
        fields: &[
            MODE.spec(),
            POLICIES.spec(),
            GROUPS.spec(),
            CONSOLE.spec(),
            PROGRAMMATIC.spec(),
            ROLES.spec(),
            EXTERNAL_ID.spec(),
            SESSION_TAGS.spec(),
            TRANSITIVE.spec(),
            USER_TTL.spec(),
            KEY_ID.spec(),
            KEY.spec(),
            REGION.spec(),
            ROTATE.spec(),
            ROTATE_DAYS.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_AWS,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["aws-access-key-id", "region"],
    details: &[
        ("aws_access_mode", "access-mode"),
        ("aws_access_key_id", "aws-access-key-id"),
        ("aws_region", "region"),
        ("aws_user_policies", "aws-user-policies"),
        ("aws_user_groups", "aws-user-groups"),
        ("aws_user_console_access", "aws-user-console-access"),
        ("aws_user_programmatic_access", "aws-user-programmatic-access"),
        ("aws_role_arns", "aws-role-arns"),
        ("aws_external_id", "aws-external-id"),
        ("aws_session_tags", "session-tags"),
        ("aws_transitive_tag_keys", "transitive-tag-keys"),
        ("enable_admin_rotation", "enable-admin-rotation"),
        ("admin_rotation_interval_days", "admin-rotation-interval-days"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The account that users are made in.
pub(super) fn account(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Aws, Fault> {
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return aws_account(target.settings);
    }
    Aws::new(&AwsGiven {
        region: Named::of(settings, &REGION),
        key_id: Named::of(settings, &KEY_ID),
        key: Named::of(settings, &KEY),
        token: None,
        role: None,
    })
}

/// The texts between commas.
pub(super) fn list<'a>(settings: &'a Settings, field: &Field<Text>) -> Vec<&'a str> {
    let text = settings.text(field).unwrap_or_default();
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()
}
