//! `delete-assoc`: takes a role away from the bearers of an auth method.

use keysherd_base::{AssocId, Fault};
use keysherd_plane::roles::AssocDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::condition::ASSOC_ID;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-assoc",
        aliases: &[],
        success: 200,
        summary: "Take a role away from the bearers of an auth method.",
        groups: &[&SESSION],
        fields: &[ASSOC_ID.spec()],
        reply: "object",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Association {assoc-id} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(AssocDelete { id: AssocId(args.need(&ASSOC_ID)?.into_boxed_str()) }).await?;
    Ok(Answer::empty())
}
