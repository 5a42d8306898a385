//! Specifications made up for the tests of this crate.

use crate::command::{Access, Alias, Body, Show, Spec};
use crate::field::{Field, FieldSpec, Group};

const SESSION: Group = Group {
    title: "Session",
    fields: &[
        Field::text("token", "The token that auth returned.").secret().spec(),
        Field::flag("json", "Return values that are JSON as JSON.").spec(),
    ],
};

pub(crate) const CREATE_FIELDS: &[FieldSpec] = &[
    Field::text("name", "Path of the secret.").required().short('n').spec(),
    Field::text("value", "The value.").required().short('v').secret().spec(),
    Field::text("format", "How the value | is written.")
        .default("text")
        .choices(&["text", "json"])
        .spec(),
    Field::list("tags", "Tags of the secret.").short('t').spec(),
    Field::map("custom-field", "Further values.").spec(),
    Field::int("max-versions", "Versions to keep.").default("the account's setting").spec(),
    Field::flag("delete-protection", "Refuse deletion until this is switched off.")
        .documented_as("delete_protection")
        .default("false")
        .spec(),
    Field::text("change-event", "Send an event for each change.").inert().spec(),
];

/// A command with a field of each shape, a group and an older name.
pub(crate) const CREATE: Spec = Spec {
    name: "create-secret",
    aliases: &[Alias { name: "secret-create", success: 201, reply: "SecretCreateOutput" }],
    success: 200,
    summary: "Creates a secret.",
    groups: &[&SESSION],
    fields: CREATE_FIELDS,
    reply: "CreateSecretOutput",
    access: Access::Right("item-rule", "create"),
    body: Body::Object,
    show: Show::Sentence("A new secret named {name} was successfully created"),
};

/// A command that takes an array.
pub(crate) const BATCH: Spec = Spec {
    name: "encrypt-batch",
    aliases: &[],
    success: 200,
    summary: "Encrypts several texts.",
    groups: &[],
    fields: &[Field::text("plaintext", "The text.").required().secret().spec()],
    reply: "list[EncryptOutput]",
    access: Access::Token,
    body: Body::Array,
    show: Show::Json,
};
