//! `create-role`: a new role without item rules.

use keysherd_base::Fault;
use keysherd_plane::roles::RoleCreate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use super::administrative::{self, ADMINISTRATIVE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{DELETE_PROTECTION, DESCRIPTION, NAME, SESSION};

const COMMENT: Field<Text> = Field::text("comment", "The older name of description.");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "create-role",
        aliases: &[],
        success: 200,
        summary: "Create a role.",
        groups: &[&SESSION, &ADMINISTRATIVE],
        fields: &[NAME.spec(), DESCRIPTION.spec(), COMMENT.spec(), DELETE_PROTECTION.spec()],
        reply: "object",
        access: Access::Right("role-rule", "create"),
        body: Body::Object,
        show: Show::Sentence("A new role named {name} was successfully created"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let rules = administrative::rules(&args)?;
    let create = RoleCreate {
        path: args.path(&NAME)?,
        comment: args.get(&DESCRIPTION)?.or(args.get(&COMMENT)?).unwrap_or_default(),
        delete_protection: args.get(&DELETE_PROTECTION)?,
        rules: rules.into_iter().filter(|rule| !rule.capabilities.is_empty()).collect(),
    };
    let warned = ctx.ask(create).await?;
    Ok(Answer::empty().with_warnings(warned.warnings))
}
