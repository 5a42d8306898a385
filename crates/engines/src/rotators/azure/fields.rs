//! What the member is called, and its settings.

use keysherd_wire::{Field, Group, Text};

use super::SECRET;
use crate::Spelling;
use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_PAGES, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS,
};
use crate::rotator::{RotatorKind, RotatorType};

pub(super) const API_ID: Field<Text> = Field::text(
    "api-id",
    "The id of the application's secret as it is now; found by how the secret begins otherwise.",
);
pub(super) const API_KEY: Field<Text> =
    Field::text("api-key", "The application's secret, or the storage account's key, as it is now.")
        .secret();
pub(super) const APPLICATION: Field<Text> =
    Field::text("application-id", "The application (client) id of whose secret is rotated.");
pub(super) const KEY_NAME: Field<Text> = Field::text(
    "storage-account-key-name",
    "Which of the storage account's keys api-key is: key1 or key2.",
);
pub(super) const USER: Field<Text> =
    Field::text("username", "The principal name of whose password is rotated.");
pub(super) const PASSWORD: Field<Text> =
    Field::text("password", "That user's password as it is now.").secret();
pub(super) const RESOURCE_GROUP: Field<Text> = Field::text(
    "resource-group-name",
    "The resource group of the storage account; the target's otherwise.",
);
pub(super) const RESOURCE: Field<Text> =
    Field::text("resource-name", "The storage account; the target's resource otherwise.");
const EXPLICIT: Field<Text> = Field::text("explicitly-set-sa", "Accepted, without effect.").inert();

pub(super) static KIND: RotatorKind = RotatorKind {
    name: "azure",
    what: "Microsoft Azure",
    targets: &["azure"],
    types: &[
        RotatorType { name: "api-key", shown: "api-key-rotator", of_target: false },
        RotatorType { name: "password", shown: "user-pass-rotator", of_target: false },
        RotatorType {
            name: "azure-storage-account",
            shown: "azure-storage-account-rotator",
            of_target: false,
        },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-azure",
        "RotatedSecretCreateAzure",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-azure",
        "RotatedSecretUpdateAzure",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Azure",
        fields: &[
            RESOURCE_GROUP.spec(),
            RESOURCE.spec(),
            EXPLICIT.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group {
        title: "Credentials",
        fields: &[
            API_ID.spec(),
            API_KEY.spec(),
            APPLICATION.spec(),
            KEY_NAME.spec(),
            USER.spec(),
            PASSWORD.spec(),
        ],
    },
    target_settings: &[("client-secret", SECRET)],
    remote: &REMOTE_STAYING_PAGES,
};
