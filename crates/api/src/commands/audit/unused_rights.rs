//! `unused-rights`, ours: rules of roles that nobody made use of for a while.

use keysherd_base::Fault;
use keysherd_plane::audit_log::UnusedRights;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec};
use serde::Serialize;

use super::unused::{DAY_SECONDS, DAYS_DEFAULT, DAYS_MAX, bounded};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{PAGINATION_TOKEN, SESSION};
use crate::replies::page;

const DAYS: Field<Int> = Field::int("days", "Not used for this many days.").default("90");

#[derive(Serialize)]
struct Reply<'a> {
    rules: Vec<Unused<'a>>,
    /// Empty on the last page.
    next_page: String,
}

#[derive(Serialize)]
struct Unused<'a> {
    role_name: &'a str,
    path: &'a str,
    unused_capabilities: Vec<&'static str>,
    /// Associations of the role; without any nobody could use it.
    associations: usize,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "unused-rights",
        aliases: &[],
        success: 200,
        summary: "List item rules of roles whose capabilities nobody made use of for a while; \
                  takes audit-access all. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[DAYS.spec(), PAGINATION_TOKEN.spec()],
        reply: "object",
        access: Access::Right("search-rule", "read"),
        body: Body::Object,
        show: Show::Table(
            "rules",
            &[
                ("ROLE", "role_name"),
                ("PATH", "path"),
                ("UNUSED", "unused_capabilities"),
                ("ASSOCIATIONS", "associations"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let days = bounded(args.get(&DAYS)?.unwrap_or(DAYS_DEFAULT), DAYS_MAX, DAYS.name())?;
    let since = ctx.services().clock.now().plus_seconds(-days * DAY_SECONDS);
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| start(&token)).transpose()?;
    let found = ctx.ask(UnusedRights { since, after }).await?;
    let rules = found.rules.iter().map(|rule| Unused {
        role_name: rule.role.bare(),
        path: &rule.rule,
        unused_capabilities: rule.unused.iter().map(|capability| capability.name()).collect(),
        associations: rule.methods,
    });
    let next = found.next.map(|(role, rule)| page::token(&format!("{rule}:{role}"))).transpose()?;
    Answer::json(&Reply { rules: rules.collect(), next_page: next.unwrap_or_default() })
}

/// The role and the number of its rule with which a page begins.
fn start(token: &str) -> Result<(String, u32), Fault> {
    let text = page::after(token)?;
    let read = text.split_once(':').and_then(|(rule, role)| Some((role, rule.parse().ok()?)));
    read.map(|(role, rule)| (role.to_owned(), rule)).ok_or_else(|| {
        Fault::bad_request("invalid value of 'pagination-token': give the next_page of a page")
    })
}
