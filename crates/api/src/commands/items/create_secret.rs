//! `create-secret`: stores a new static secret.

use keysherd_base::{Fault, Uid};
use keysherd_domain::item::SecretKind;
use keysherd_plane::grants::WriteTarget;
use keysherd_plane::items::{Made, SecretCreate};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Map, Show, Spec, Text};
use serde::Serialize;

use super::value::{self, SECRET_VALUE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::fields::{
    ACCESSIBILITY, DELETE_PROTECTION, DESCRIPTION, MAX_VERSIONS, METADATA, NAME, SESSION, TAGS,
};
use crate::secure_access::SECURE_ACCESS;

const TYPE: Field<Text> = Field::text("type", "Whether it is any value or a password.")
    .default("generic")
    .choices(&["generic", "password"]);
const PROTECTION_KEY: Field<Text> = Field::text(
    "protection-key",
    "Path of the key that protects the secret; the cluster's or account's default unless given.",
)
.documented_as("protection_key")
.short('k');
const MULTILINE: Field<Flag> = Field::flag("multiline-value", "Texts keep their lines always.")
    .documented_as("multiline_value")
    .inert();
const ITEM_CUSTOM_FIELDS: Field<Map> =
    Field::map("item-custom-fields", "Account-defined fields that describe the item.");
const CHANGE_EVENT: Field<Flag> =
    Field::flag("change-event", "Raise an event when the value changes.");

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "create-secret",
        aliases: &[],
        success: 200,
        summary: "Store a new static secret.",
        groups: &[&SESSION, &SECRET_VALUE, &SECURE_ACCESS],
        fields: &[
            NAME.spec(),
            TYPE.spec(),
            DESCRIPTION.spec(),
            METADATA.spec(),
            TAGS.spec(),
            PROTECTION_KEY.spec(),
            MULTILINE.spec(),
            MAX_VERSIONS.spec(),
            DELETE_PROTECTION.spec(),
            ACCESSIBILITY.spec(),
            ITEM_CUSTOM_FIELDS.spec(),
            CHANGE_EVENT.spec(),
        ],
        reply: "CreateSecretOutput",
        access: Access::Right("item-rule", "create"),
        body: Body::Object,
        show: Show::Sentence("A new secret named {name} was successfully created"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let secret_kind = match args.get(&TYPE)?.as_deref() {
        Some(kind) if kind.eq_ignore_ascii_case("password") => SecretKind::Password,
        _ => SecretKind::Generic,
    };
    let format = value::format(&args)?.unwrap_or_default();
    let plaintext = value::plaintext(&args, secret_kind, format)?;
    let protection_key = args.path_opt(&PROTECTION_KEY)?;
    let description = args.get(&DESCRIPTION)?.or(args.get(&METADATA)?).unwrap_or_default();
    // What is named is taken as it is, whatever the cluster wants otherwise.
    let cluster_key = match protection_key {
        Some(_) => None,
        None => Defaults::of_cluster(&*ctx.services().configs).await?.key,
    };
    let mut create = SecretCreate {
        path: path.clone(),
        made: Made::Static,
        uid: Uid::random(&*ctx.services().rng)?,
        secret_kind,
        format,
        description,
        tags: args.get(&TAGS)?.unwrap_or_default(),
        protection_key: protection_key.clone(),
        cluster_key,
        max_versions: value::max_versions(&args)?,
        delete_protection: args.get(&DELETE_PROTECTION)?,
        websites: value::websites(&args)?.unwrap_or_default(),
        custom_fields: args.get(&ITEM_CUSTOM_FIELDS)?.unwrap_or_default(),
        change_event: args.get_or(&CHANGE_EVENT, false)?,
        value: value::nothing_yet(),
    };
    let target = WriteTarget::NewSecret { path, uid: create.uid, protection_key, cluster_key };
    let sealed = ctx.crypt().seal(&ctx, target, plaintext).await?;
    create.value = sealed.value.clone();
    let created = ctx.ask(create).await?;
    ctx.crypt().recorded(&sealed);
    let reply = Reply { name: created.item.path.as_str() };
    Ok(Answer::json(&reply)?.with_warnings(created.warnings))
}
