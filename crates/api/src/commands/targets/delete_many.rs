//! `delete-targets`: deletes all targets below a folder.

use keysherd_base::{Fault, FolderPath};
use keysherd_domain::target::PLACE;
use keysherd_plane::items::ItemsDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PATH: Field<Text> =
    Field::text("path", "Folder whose targets are deleted, with all below it.").required();
const FORCE: Field<Flag> =
    Field::flag("force-deletion", "Also those that items use; they cannot work any more.")
        .default("false");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-targets",
        aliases: &[],
        success: 200,
        summary: "Delete all targets below a folder.",
        groups: &[&SESSION],
        fields: &[PATH.spec(), FORCE.spec()],
        reply: "object",
        access: Access::Right("target-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The targets of {path} were successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let folder = FolderPath::parse(&args.need(&PATH)?)?;
    let below = FolderPath::parse(&format!("{PLACE}{}", folder.as_str().trim_start_matches('/')))?;
    let force = args.get_or(&FORCE, false)?;
    let done = ctx.ask(ItemsDelete::Targets { below, force }).await?;
    // V2's answer has no place for what became of each.
    let Some((_, why)) = done.failed.first_key_value() else { return Ok(Answer::empty()) };
    let (failed, all) = (done.failed.len(), done.failed.len() + done.deleted.len());
    Err(Fault::conflict(format!(
        "{failed} of {all} targets were not deleted, the first because {why}"
    ))
    .with_code("TargetsLeft"))
}
