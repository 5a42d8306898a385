//! `describe-item`: what is known about an item, without its value.

use keysherd_base::{Fault, ItemId, ItemPath};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, SESSION};
use crate::replies::item::{ItemReply, Parts};

const NAME: Field<Text> =
    Field::text("name", "Path of the item; empty when it is named by an id.").short('n');
const ITEM_ID: Field<Int> = Field::int("item-id", "The item's integer id.").short('I');
const DISPLAY_ID: Field<Text> = Field::text("display-id", "The item's display id.").short('d');
const SHOW_VERSIONS: Field<Flag> =
    Field::flag("show-versions", "Show the item's versions.").default("false");
const CUSTOM_FIELDS: Field<Flag> =
    Field::flag("item-custom-fields-details", "Show account-defined fields.").default("false");
const GATEWAY_DETAILS: Field<Flag> =
    Field::flag("gateway-details", "Show the gateways that serve the item.").inert();
const SERVICES_DETAILS: Field<Flag> =
    Field::flag("services-details", "Show the services that use the item.").inert();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "describe-item",
        aliases: &[],
        success: 200,
        summary: "Show what is known about an item, without its value.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            ITEM_ID.spec(),
            DISPLAY_ID.spec(),
            SHOW_VERSIONS.spec(),
            CUSTOM_FIELDS.spec(),
            GATEWAY_DETAILS.spec(),
            SERVICES_DETAILS.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "Item",
        access: Access::Right("item-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = match (args.get(&NAME)?, args.get(&ITEM_ID)?, args.get(&DISPLAY_ID)?) {
        (Some(name), _, _) => ItemRef::Path(ItemPath::parse(&name)?),
        (None, _, Some(display)) => ItemRef::Display(display),
        (None, Some(id), None) => ItemRef::Id(ItemId(id)),
        (None, None, None) => return Err(Fault::bad_request("missing required field 'name'")),
    };
    let with_versions = args.get_or(&SHOW_VERSIONS, false)?;
    let parts = Parts { custom_fields: args.get_or(&CUSTOM_FIELDS, false)? };
    let view = ctx.ask(ItemDescribe { item, with_versions }).await?;
    Answer::json(&ItemReply::new(&view, parts))
}
