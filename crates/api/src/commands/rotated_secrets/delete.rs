//! `rotated-secret-delete`: deletes a rotated secret; what it last set on its target stays there.

use keysherd_base::Fault;
use keysherd_plane::items::{DeleteVersions, ItemDelete};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec};

use crate::commands::ApiCommand;
use crate::commands::items::deleted;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const VERSION: Field<Int> = Field::int(
    "version",
    "Which version: -1 for the whole secret, 0 for the newest, otherwise its number.",
)
.default("-1");
const FORCE: Field<Flag> = Field::flag(
    "force-delete",
    "Delete it although nobody knows which credentials its target takes now.",
);

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rotated-secret-delete",
        aliases: &[],
        success: 200,
        summary: "Delete a rotated secret; what it last set on its target stays there.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), VERSION.spec(), FORCE.spec()],
        reply: "DeleteItemOutput",
        access: Access::Right("item-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The rotated secret {item_name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let versions = match args.get_or(&VERSION, -1)? {
        -1 => DeleteVersions::All,
        0 => DeleteVersions::Latest,
        number => DeleteVersions::Exactly(u32::try_from(number).map_err(|_| {
            Fault::bad_request("invalid value of 'version': it must be -1 or more")
        })?),
    };
    let delete = ItemDelete {
        path: args.path(&NAME)?,
        versions,
        in_days: 0,
        immediately: false,
        force: args.get_or(&FORCE, false)?,
    };
    deleted(&ctx, delete).await
}
