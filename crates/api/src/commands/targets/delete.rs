//! `target-delete`: deletes a target.

use keysherd_base::Fault;
use keysherd_domain::target::stored_path;
use keysherd_plane::items::{DeleteVersions, ItemDelete};
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const FORCE: Field<Flag> =
    Field::flag("force-deletion", "Delete it although items use it; they cannot work any more.")
        .default("false");
const VERSION: Field<Int> =
    Field::int("target-version", "A version; the whole target unless given.");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "target-delete",
        aliases: &[Alias { name: "delete-target", success: 200, reply: "object" }],
        success: 200,
        summary: "Delete a target.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), FORCE.spec(), VERSION.spec()],
        reply: "object",
        access: Access::Right("target-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The target {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let invalid =
        || Fault::bad_request("invalid value of 'target-version': it must be -1, 0 or a version");
    let versions = match args.get_or(&VERSION, -1)? {
        -1 => DeleteVersions::All,
        0 => DeleteVersions::Latest,
        version => DeleteVersions::Exactly(u32::try_from(version).map_err(|_| invalid())?),
    };
    let delete = ItemDelete {
        path: stored_path(&args.path(&NAME)?)?,
        versions,
        in_days: 0,
        immediately: false,
        force: args.get_or(&FORCE, false)?,
    };
    let deleted = ctx.ask(delete).await?;
    if deleted.version.is_some() {
        ctx.crypt().version_deleted(deleted.uid);
    }
    Ok(Answer::empty())
}
