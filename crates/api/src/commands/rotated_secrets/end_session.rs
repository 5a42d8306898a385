//! `rotated-secret-end-session`: says that a session which used the credentials has ended.

use keysherd_base::Fault;
use keysherd_plane::credential_rotations::RotatedDisconnect;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::create::Named;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rotated-secret-end-session",
        aliases: &[],
        success: 200,
        summary: "Say that a session ended which used the credentials; they change where \
                  rotate-after-disconnect is set.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "RotatedSecretOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Sentence("The session with {name} has ended"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    ctx.ask(RotatedDisconnect { item: path.clone() }).await?;
    Answer::json(&Named { name: path.as_str() })
}
