//! `update-assoc`: replaces the condition of an association.

use keysherd_base::{AssocId, Fault};
use keysherd_plane::roles::AssocUpdate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::condition::{self, ASSOC_ID, CASE_SENSITIVE, SUB_CLAIMS};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-assoc",
        aliases: &[],
        success: 200,
        summary: "Replace the condition of an association.",
        groups: &[&SESSION],
        fields: &[ASSOC_ID.spec(), SUB_CLAIMS.spec(), CASE_SENSITIVE.spec()],
        reply: "object",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Association {assoc-id} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let update = AssocUpdate {
        id: AssocId(args.need(&ASSOC_ID)?.into_boxed_str()),
        sub_claims: condition::sub_claims(&args)?,
        case_sensitive: args.get(&CASE_SENSITIVE)?,
    };
    let warned = ctx.ask(update).await?;
    Ok(Answer::empty().with_warnings(warned.warnings))
}
