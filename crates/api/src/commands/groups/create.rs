//! `create-group`: a new group.

use keysherd_base::Fault;
use keysherd_plane::groups::GroupCreate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::assignment::{self, GROUP_ALIAS, USER_ASSIGNMENT};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{DESCRIPTION, NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    group_alias: &'a str,
    id: &'a str,
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "create-group",
        aliases: &[],
        success: 200,
        summary: "Create a group of bearers.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), GROUP_ALIAS.spec(), DESCRIPTION.spec(), USER_ASSIGNMENT.spec()],
        reply: "CreateGroupOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("A new group named {name} was successfully created"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let create = GroupCreate {
        path: args.path(&NAME)?,
        alias: args.need(&GROUP_ALIAS)?,
        description: args.get(&DESCRIPTION)?.unwrap_or_default(),
        members: assignment::members(&args)?.unwrap_or_default(),
    };
    let group = ctx.ask(create).await?;
    let name = group.path.bare();
    Answer::json(&Reply { group_alias: &group.alias, id: &group.id, name })
}
