//! `gateway-rotate-secret`: changes the credentials of a rotated secret now.

use keysherd_base::Fault;
use keysherd_plane::credential_rotations::Reason;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};

use super::create::Named;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const ALL_SERVICES: Field<Text> =
    Field::text("rotate-all-services", "Services of Windows are not served yet.").inert();
const ALL_SERVICES_FLAG: Field<Flag> =
    Field::flag("RotateAllServicesBoolean", "Services of Windows are not served yet.").inert();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-rotate-secret",
        aliases: &[],
        success: 200,
        summary: "Change the credentials of a rotated secret now.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), ALL_SERVICES.spec(), ALL_SERVICES_FLAG.spec()],
        reply: "RotatedSecretOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The rotated secret {name} was successfully rotated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let warnings = ctx.crypt().rotate_credentials(&ctx, &path, Reason::Manual).await?;
    Ok(Answer::json(&Named { name: path.as_str() })?.with_warnings(warnings))
}
