//! Commands made up for the tests, in the shapes that real ones have.

use keysherd_wire::{Access, Alias, Body, Field, FieldSpec, Group, Show, Spec};

const SESSION: Group = Group {
    title: "Session",
    fields: &[
        Field::text("token", "A token.").secret().spec(),
        Field::text("uid-token", "A uid token.").secret().spec(),
        Field::flag("json", "JSON values.").spec(),
    ],
};

const NAME: FieldSpec = Field::text("name", "Path of the object.").required().short('n').spec();

const fn spec(name: &'static str, fields: &'static [FieldSpec], show: Show) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary: "Does what its name says.",
        groups: &[&SESSION],
        fields,
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show,
    }
}

static AUTH: Spec = Spec {
    groups: &[],
    access: Access::Open,
    ..spec(
        "auth",
        &[
            Field::text("access-id", "Who.").spec(),
            Field::text("access-type", "How.").default("access_key").spec(),
            Field::text("access-key", "Proof.").secret().spec(),
            Field::text("admin-email", "Address.").spec(),
            Field::text("admin-password", "Proof.").secret().spec(),
            Field::text("gateway-url", "Where.").spec(),
        ],
        Show::Json,
    )
};

static CREATE: Spec = spec(
    "create-secret",
    &[
        NAME,
        Field::text("value", "The value.").required().short('v').secret().spec(),
        Field::list("tags", "Tags.").short('t').spec(),
        Field::map("custom-field", "More values.").spec(),
        Field::int("max-versions", "How many.").spec(),
        Field::flag("delete-protection", "Keep it.").documented_as("delete_protection").spec(),
        Field::text("format", "Which.").choices(&["text", "json"]).default("text").spec(),
        Field::text("change-event", "Events.").inert().spec(),
    ],
    Show::Sentence("A new secret named {name} was successfully created"),
);

static GET: Spec = spec(
    "get-secret-value",
    &[
        Field::list("names", "Paths of the secrets.").required().short('n').spec(),
        Field::int("version", "Which.").spec(),
    ],
    Show::Value,
);

static LIST: Spec = spec(
    "list-items",
    &[Field::text("path", "Folder.").short('p').spec()],
    Show::Table("items", &[("Name", "item_name"), ("ID", "item_id")]),
);

static CREATE_METHOD: Spec = Spec {
    aliases: &[Alias { name: "create-auth-method", success: 200, reply: "object" }],
    ..spec(
        "auth-method-create-api-key",
        &[NAME],
        Show::Sentence(
            "Auth Method {name} successfully created\n- Access ID: {access_id}\n- Access Key: \
             {access_key}",
        ),
    )
};

static VALIDATE: Spec = Spec {
    groups: &[],
    access: Access::Open,
    ..spec(
        "validate-token",
        &[Field::text("token", "A token.").required().secret().spec()],
        Show::Json,
    )
};

static HEALTH: Spec = Spec { groups: &[], access: Access::Open, ..spec("health", &[], Show::Json) };

static BATCH: Spec = Spec {
    body: Body::Array,
    ..spec("encrypt-batch", &[Field::text("plaintext", "The text.").required().spec()], Show::Json)
};

/// All of them.
pub(super) static ALL: &[&Spec] =
    &[&AUTH, &BATCH, &CREATE, &CREATE_METHOD, &GET, &HEALTH, &LIST, &VALIDATE];

#[test]
fn the_made_up_commands_are_good_ones() {
    assert_eq!(keysherd_wire::lint_all(ALL), Vec::<String>::new());
}
