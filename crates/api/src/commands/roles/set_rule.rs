//! `set-role-rule`: sets one rule of a role; the same type and path is replaced.

use keysherd_base::Fault;
use keysherd_domain::role::Rule;
use keysherd_plane::roles::RuleSet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, List, Show, Spec};

use super::rule::{self, PATH, ROLE_NAME, RULE_TYPE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const CAPABILITY: Field<List> =
    Field::list("capability", "What the rule grants: read, create, update, delete, list, or deny.")
        .required()
        .short('c');
const TTL: Field<Int> =
    Field::int("ttl", "Minutes until the rule ends by itself; 0: it lasts.").default("0");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "set-role-rule",
        aliases: &[],
        success: 200,
        summary: "Set one rule of a role; the same type and path is replaced.",
        groups: &[&SESSION],
        fields: &[ROLE_NAME.spec(), PATH.spec(), CAPABILITY.spec(), RULE_TYPE.spec(), TTL.spec()],
        reply: "object",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The rule on {path} was successfully set for role {role-name}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let minutes = args.get_or(&TTL, 0)?;
    if !(0..=5_256_000).contains(&minutes) {
        return Err(Fault::bad_request("invalid value of 'ttl': it must be 0 to 5256000 minutes"));
    }
    let ends = ctx.services().clock.now().plus_seconds(minutes * 60);
    let rule = Rule {
        kind: rule::kind(&args)?,
        path: rule::path(&args)?,
        capabilities: rule::capabilities(&args.need(&CAPABILITY)?)?,
        expires: (minutes > 0).then_some(ends),
    };
    let warned = ctx.ask(RuleSet { role: args.path(&ROLE_NAME)?, rule }).await?;
    Ok(Answer::empty().with_warnings(warned.warnings))
}
