//! `list-roles`: the roles a caller may see.

use keysherd_base::Fault;
use keysherd_base::limits::PAGE_LEN;
use keysherd_plane::roles::RoleList;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{FILTER, PAGINATION_TOKEN, SESSION};
use crate::replies::page;
use crate::replies::role::RoleReply;

#[derive(Serialize)]
struct Reply<'a> {
    roles: Option<Vec<RoleReply<'a>>>,
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "list-roles",
        aliases: &[],
        success: 200,
        summary: "List the roles you may see.",
        groups: &[&SESSION],
        fields: &[FILTER.spec(), PAGINATION_TOKEN.spec()],
        reply: "ListRolesOutput",
        access: Access::Listing("role-rule"),
        body: Body::Object,
        show: Show::Table("roles", &[("NAME", "role_name"), ("COMMENT", "comment")]),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?;
    let list = RoleList { filter: args.get(&FILTER)?, after, limit: PAGE_LEN };
    let listed = ctx.ask(list).await?;
    let last = listed.roles.last().map(|view| view.role.path.as_str());
    let next_page = last.map(page::token).transpose()?.unwrap_or_default();
    let roles: Vec<_> = listed.roles.iter().map(RoleReply::new).collect();
    Answer::json(&Reply { roles: (!roles.is_empty()).then_some(roles), next_page })
}
