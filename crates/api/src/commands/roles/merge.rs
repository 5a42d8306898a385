//! `roles-merge`, ours: one role of several that the same bearers have.

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::role::Capability;
use keysherd_plane::merge::{MergePlan, RolesMerge};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, List, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const ROLE_NAME: Field<List> =
    Field::list("role-name", "The roles to merge; none: those that could be are looked for.")
        .short('r');
const INTO: Field<Text> =
    Field::text("into", "Path of the role that stays: one of them (the first) or a new one.");
const APPLY: Field<Flag> = Field::flag("apply", "Do it; otherwise show the plan.").default("false");

#[derive(Serialize)]
struct Reply<'a> {
    plans: Vec<PlanReply<'a>>,
}

#[derive(Serialize)]
struct PlanReply<'a> {
    roles: Vec<&'a str>,
    into: &'a str,
    rules: Vec<RuleReply<'a>>,
    decisions_compared: u64,
    decisions_changed: u64,
    applied: bool,
}

#[derive(Serialize)]
struct RuleReply<'a> {
    path: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    capabilities: Vec<&'static str>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "roles-merge",
        aliases: &[],
        success: 200,
        summary: "Make one role of several that the same bearers have, when no decision changes by \
                  it. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[ROLE_NAME.spec(), INTO.spec(), APPLY.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let names = args.get(&ROLE_NAME)?.unwrap_or_default();
    let merge = RolesMerge {
        roles: names.iter().map(|name| ItemPath::parse(name)).collect::<Result<_, _>>()?,
        into: args.path_opt(&INTO)?,
        apply: args.get_or(&APPLY, false)?,
    };
    let merged = ctx.ask(merge).await?;
    Answer::json(&Reply { plans: merged.plans.iter().map(shown).collect() })
}

fn shown(plan: &MergePlan) -> PlanReply<'_> {
    let rules = plan.rules.iter();
    PlanReply {
        roles: plan.roles.iter().map(ItemPath::bare).collect(),
        into: plan.into.bare(),
        rules: rules
            .map(|rule| RuleReply {
                path: &rule.path,
                kind: rule.kind.name(),
                capabilities: rule.capabilities.iter().map(Capability::name).collect(),
            })
            .collect(),
        decisions_compared: plan.decisions_compared,
        // A plan with a difference is refused.
        decisions_changed: 0,
        applied: plan.applied,
    }
}
