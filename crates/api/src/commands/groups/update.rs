//! `update-group`: changes a group.

use keysherd_base::Fault;
use keysherd_plane::groups::GroupUpdate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::assignment::{self, GROUP_ALIAS, USER_ASSIGNMENT};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{DESCRIPTION, NAME, NEW_NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    id: &'a str,
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-group",
        aliases: &[],
        success: 200,
        summary: "Change a group of bearers.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            NEW_NAME.spec(),
            GROUP_ALIAS.spec(),
            DESCRIPTION.spec(),
            USER_ASSIGNMENT.spec(),
        ],
        reply: "UpdateGroupOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Group {name} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let update = GroupUpdate {
        path: args.path(&NAME)?,
        new_path: args.path_opt(&NEW_NAME)?,
        alias: args.get(&GROUP_ALIAS)?,
        description: args.get(&DESCRIPTION)?,
        members: assignment::members(&args)?,
    };
    let group = ctx.ask(update).await?;
    Answer::json(&Reply { id: &group.id, name: group.path.bare() })
}
