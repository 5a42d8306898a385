//! `update-item`: changes what is known about an item, never its value.

use keysherd_base::Fault;
use keysherd_domain::cluster::is_config_path;
use keysherd_plane::items::{ItemUpdate, ItemUpdateParts};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Map, Show, Spec, Text};
use serde::Serialize;

use super::value;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{
    ACCESSIBILITY, ADD_TAG, DELETE_PROTECTION, DESCRIPTION, MAX_VERSIONS, NAME, NEW_NAME, RM_TAG,
    SESSION,
};
use crate::secure_access::SECURE_ACCESS;

const NEW_METADATA: Field<Text> =
    Field::text("new-metadata", "The older name of description.").sentinel("default_metadata");
const ITEM_CUSTOM_FIELDS: Field<Map> =
    Field::map("item-custom-fields", "Account-defined fields to set; an empty text removes one.");
const CHANGE_EVENT: Field<Flag> =
    Field::flag("change-event", "Raise an event when the value changes.");

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-item",
        aliases: &[],
        success: 200,
        summary: "Change what is known about an item; its value stays as it is.",
        groups: &[&SESSION, &SECURE_ACCESS],
        fields: &[
            NAME.spec(),
            NEW_NAME.spec(),
            DESCRIPTION.spec(),
            NEW_METADATA.spec(),
            ADD_TAG.spec(),
            RM_TAG.spec(),
            MAX_VERSIONS.spec(),
            DELETE_PROTECTION.spec(),
            ITEM_CUSTOM_FIELDS.spec(),
            CHANGE_EVENT.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "UpdateItemOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Item {name} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let mut parts = ItemUpdateParts {
        new_path: args.path_opt(&NEW_NAME)?,
        description: args.get(&DESCRIPTION)?.or(args.get(&NEW_METADATA)?),
        add_tags: args.get(&ADD_TAG)?.unwrap_or_default(),
        remove_tags: args.get(&RM_TAG)?.unwrap_or_default(),
        max_versions: value::max_versions(&args)?,
        delete_protection: args.get(&DELETE_PROTECTION)?,
        custom_fields: args.get(&ITEM_CUSTOM_FIELDS)?.unwrap_or_default(),
        change_event: args.get(&CHANGE_EVENT)?,
        name_tag: None,
    };
    if let Some(new) = parts.new_path.as_ref().filter(|new| **new != path) {
        if is_config_path(new) {
            return Err(Fault::bad_request(
                "names below /.gateway-clusters are those of gateways' own configurations; choose \
                 another name",
            ));
        }
        parts.name_tag = ctx.crypt().attest_name(&ctx, path.clone(), new).await;
    }
    let warned = ctx.ask(ItemUpdate { path, parts }).await?;
    Ok(Answer::json(&Reply { updated: true })?.with_warnings(warned.warnings))
}
