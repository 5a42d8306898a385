//! `get-tags`: the tags of an item.

use keysherd_base::Fault;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-tags",
        aliases: &[],
        success: 200,
        summary: "List the tags of an item.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "list[str]",
        access: Access::Right("item-rule", "list"),
        body: Body::Object,
        show: Show::Lines,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = ItemRef::Path(args.path(&NAME)?);
    let view = ctx.ask(ItemDescribe { item, with_versions: false }).await?;
    Answer::json(&view.item.tags)
}
