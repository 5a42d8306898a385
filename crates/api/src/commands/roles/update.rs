//! `update-role`: changes what is known about a role; item rules have commands of their own.

use keysherd_base::Fault;
use keysherd_plane::roles::RoleUpdate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::administrative::{self, ADMINISTRATIVE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{DELETE_PROTECTION, NAME, NEW_NAME, SESSION};

const DESCRIPTION: Field<Text> =
    Field::text("description", "Free text about the role.").sentinel("default_comment");
const NEW_COMMENT: Field<Text> =
    Field::text("new-comment", "The older name of description.").sentinel("default_comment");

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-role",
        aliases: &[],
        success: 200,
        summary: "Change what is known about a role.",
        groups: &[&SESSION, &ADMINISTRATIVE],
        fields: &[
            NAME.spec(),
            NEW_NAME.spec(),
            DESCRIPTION.spec(),
            NEW_COMMENT.spec(),
            DELETE_PROTECTION.spec(),
        ],
        reply: "UpdateRoleOutput",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Role {name} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let update = RoleUpdate {
        path: args.path(&NAME)?,
        new_path: args.path_opt(&NEW_NAME)?,
        comment: args.get(&DESCRIPTION)?.or(args.get(&NEW_COMMENT)?),
        delete_protection: args.get(&DELETE_PROTECTION)?,
        rules: administrative::rules(&args)?,
    };
    let warned = ctx.ask(update).await?;
    Ok(Answer::json(&Reply { updated: true })?.with_warnings(warned.warnings))
}
