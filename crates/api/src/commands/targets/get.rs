//! `target-get`: what is known about a target, without its credentials.

use keysherd_base::Fault;
use keysherd_domain::target::stored_path;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, Flag, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};
use crate::replies::target::TargetReply;

/// Whether versions are shown.
pub(super) const SHOW_VERSIONS: Field<Flag> =
    Field::flag("show-versions", "Show the target's versions.").default("false");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "target-get",
        aliases: &[Alias { name: "get-target", success: 200, reply: "Target" }],
        success: 200,
        summary: "Show what is known about a target, without its credentials.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), SHOW_VERSIONS.spec()],
        reply: "Target",
        access: Access::Right("target-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = ItemRef::Path(stored_path(&args.path(&NAME)?)?);
    let with_versions = args.get_or(&SHOW_VERSIONS, false)?;
    let view = ctx.ask(ItemDescribe { item, with_versions }).await?;
    Answer::json(&TargetReply::new(&view)?)
}
