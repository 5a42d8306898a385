//! `list-group`: the groups of the account.

use keysherd_base::Fault;
use keysherd_base::limits::PAGE_LEN;
use keysherd_plane::groups::GroupList;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::reply::GroupReply;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{FILTER, PAGINATION_TOKEN, SESSION};
use crate::replies::page;

#[derive(Serialize)]
struct Reply<'a> {
    groups: Option<Vec<GroupReply<'a>>>,
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "list-group",
        aliases: &[],
        success: 200,
        summary: "List the groups of the account.",
        groups: &[&SESSION],
        fields: &[FILTER.spec(), PAGINATION_TOKEN.spec()],
        reply: "ListGroupsOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Table("groups", &[("NAME", "group_name"), ("ALIAS", "group_alias")]),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?;
    let list = GroupList { filter: args.get(&FILTER)?, after, limit: PAGE_LEN };
    let listed = ctx.ask(list).await?;
    let last = listed.groups.last().filter(|_| listed.more).map(|group| group.path.as_str());
    let next_page = last.map(page::token).transpose()?.unwrap_or_default();
    let groups: Vec<_> = listed.groups.iter().map(GroupReply::new).collect();
    Answer::json(&Reply { groups: (!groups.is_empty()).then_some(groups), next_page })
}
