//! What the member is called, and its settings.

use keysherd_wire::{Field, Flag, Group, Text};

use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_PAGES, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL,
};
use crate::{Kind, Spelling};

pub(super) const TENANT: Field<Text> =
    Field::text("azure-tenant-id", "The tenant's id, without a target.");
pub(super) const CLIENT: Field<Text> =
    Field::text("azure-client-id", "The application that signs in, without a target.");
pub(super) const CLIENT_SECRET: Field<Text> =
    Field::text("azure-client-secret", "A secret of that application.").secret();
pub(super) const APPLICATION: Field<Text> = Field::text(
    "app-obj-id",
    "The object id of the application that gets secrets, unless users are made.",
);
const PROGRAMMATIC: Field<Flag> = Field::flag(
    "user-programmatic-access",
    "Whether secrets of an application are made, as they are unless users are.",
);
pub(super) const PORTAL: Field<Flag> =
    Field::flag("user-portal-access", "Whether users are made, who sign in to the portal.");
pub(super) const PRINCIPAL: Field<Text> =
    Field::text("user-principal-name", "The domain of such users, such as acme.onmicrosoft.com.");
pub(super) const GROUP: Field<Text> =
    Field::text("user-group-obj-id", "The object id of a group that users are put into.");
pub(super) const ROLE: Field<Text> =
    Field::text("user-role-template-id", "The template id of a directory role that users get.");
pub(super) const ADMIN_UNIT: Field<Text> =
    Field::text("azure-administrative-unit", "The id of an administrative unit they are put into.");
pub(super) const FIXED: Field<Flag> = Field::flag(
    "fixed-user-only",
    "Whether people who are there already get a place in the group or the role for a while.",
);
pub(super) const CLAIM: Field<Text> = Field::text(
    "fixed-user-claim-keyname",
    "The claim that says who that is, by their principal name; ext_username otherwise.",
)
.default("false");

pub(super) static KIND: Kind = Kind {
    name: "azure",
    what: "a Microsoft Entra tenant",
    targets: &["azure"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-azure",
            "DynamicSecretCreateAzure",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-azure",
            "GatewayCreateProducerAzure",
            "GatewayCreateProducerAzureOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-azure",
            "DynamicSecretUpdateAzure",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-azure",
            "GatewayUpdateProducerAzure",
            "GatewayUpdateProducerAzureOutput",
        )
        .success(201),
    ],
    // Of what stands before the @ in names of users.
    name_bytes_max: 64,
    fields: &Group {
        title: "Azure",
        fields: &[
            APPLICATION.spec(),
            PROGRAMMATIC.spec(),
            PORTAL.spec(),
            PRINCIPAL.spec(),
            GROUP.spec(),
            ROLE.spec(),
            ADMIN_UNIT.spec(),
            FIXED.spec(),
            CLAIM.spec(),
            USER_TTL.spec(),
            TENANT.spec(),
            CLIENT.spec(),
            CLIENT_SECRET.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_PAGES,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    // Secrets of another application, and users of another domain, would not be found again.
    whereabouts: &["azure-tenant-id", "azure-client-id", "app-obj-id", "user-principal-name"],
    details: &[
        ("azure_tenant_id", "azure-tenant-id"),
        ("azure_client_id", "azure-client-id"),
        ("azure_app_object_id", "app-obj-id"),
        ("azure_user_programmatic_access", "user-programmatic-access"),
        ("azure_user_portal_access", "user-portal-access"),
        ("user_principal_name", "user-principal-name"),
        ("azure_user_groups_obj_id", "user-group-obj-id"),
        ("azure_user_roles_template_id", "user-role-template-id"),
        ("azure_administrative_unit", "azure-administrative-unit"),
        ("azure_fixed_user_only", "fixed-user-only"),
        ("azure_fixed_user_name_sub_claim_key", "fixed-user-claim-keyname"),
    ],
    json_details: &[],
    wrapped: true,
};
