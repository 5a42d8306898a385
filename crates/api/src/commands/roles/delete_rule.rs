//! `delete-role-rule`: deletes one rule of a role.

use keysherd_base::Fault;
use keysherd_plane::roles::RuleDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::rule::{self, PATH, ROLE_NAME, RULE_TYPE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    deleted: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-role-rule",
        aliases: &[],
        success: 200,
        summary: "Delete one rule of a role.",
        groups: &[&SESSION],
        fields: &[ROLE_NAME.spec(), PATH.spec(), RULE_TYPE.spec()],
        reply: "DeleteRoleRuleOutput",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The rule on {path} was deleted from role {role-name}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let (kind, path) = (rule::kind(&args)?, rule::path(&args)?);
    ctx.ask(RuleDelete { role: args.path(&ROLE_NAME)?, kind, path }).await?;
    Answer::json(&Reply { deleted: true })
}
