//! `unlock-item`: ends the lock on an item.

use keysherd_base::Fault;
use keysherd_plane::items::ItemUnlock;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "unlock-item",
        aliases: &[],
        success: 200,
        summary: "End the lock on an item.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Item {name} is unlocked"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(ItemUnlock { path: args.path(&NAME)? }).await?;
    Ok(Answer::empty())
}
