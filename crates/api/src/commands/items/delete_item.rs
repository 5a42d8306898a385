//! `delete-item`: deletes an item or one of its versions.

use keysherd_base::Fault;
use keysherd_plane::items::{DeleteVersions, ItemDelete};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, NAME, SESSION};

const VERSION: Field<Int> =
    Field::int("version", "A version; 0 stands for the newest, -1 for the whole item.")
        .default("-1");
const IN_DAYS: Field<Int> =
    Field::int("delete-in-days", "Days until a key is gone; other items go at once.").default("7");
const IMMEDIATELY: Field<Flag> =
    Field::flag("delete-immediately", "Delete a key at once; needs delete-in-days -1 as well.")
        .default("false");

#[derive(Serialize)]
struct Reply<'a> {
    item_name: &'a str,
    item_id: keysherd_base::ItemId,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_deleted: Option<u32>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-item",
        aliases: &[],
        success: 200,
        summary: "Delete an item or one of its versions.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            VERSION.spec(),
            IN_DAYS.spec(),
            IMMEDIATELY.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "DeleteItemOutput",
        access: Access::Right("item-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence(
            "Item {item_name} was successfully deleted\nIt will be gone on {deletion_date}",
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let invalid =
        || Fault::bad_request("invalid value of 'version': it must be -1, 0 or a version");
    let versions = match args.get_or(&VERSION, -1)? {
        -1 => DeleteVersions::All,
        0 => DeleteVersions::Latest,
        version => DeleteVersions::Exactly(u32::try_from(version).map_err(|_| invalid())?),
    };
    let delete = ItemDelete {
        path: args.path(&NAME)?,
        versions,
        in_days: args.get_or(&IN_DAYS, 7)?,
        immediately: args.get_or(&IMMEDIATELY, false)?,
        force: false,
    };
    deleted(&ctx, delete).await
}

/// Deletes, and says what.
///
/// # Errors
/// Control's refusal.
pub(in crate::commands) async fn deleted(ctx: &Ctx, delete: ItemDelete) -> Result<Answer, Fault> {
    let deleted = ctx.ask(delete).await?;
    if deleted.version.is_some() {
        ctx.crypt().version_deleted(deleted.uid);
    }
    Answer::json(&Reply {
        item_name: deleted.path.as_str(),
        item_id: deleted.id,
        deletion_date: deleted.deletion_at.map(|at| at.rfc3339()),
        version_deleted: deleted.version,
    })
}
