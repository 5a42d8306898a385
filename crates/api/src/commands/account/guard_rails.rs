//! `get-guard-rails` and `update-guard-rails`, ours: what is warned of and what is refused.

use std::collections::BTreeMap;

use keysherd_base::Fault;
use keysherd_domain::account::AccountSettings;
use keysherd_domain::guard_rails::{Policy, Rail};
use keysherd_plane::accounts::{AccountEdit, AccountGet, AccountUpdate};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, List, Map, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PRESET: Field<Text> =
    Field::text("preset", "Sets all guard rails: off, default (warn) or strict (refuse).")
        .choices(&["off", "default", "strict"]);
const RAIL: Field<Map> =
    Field::map("rail", "One guard rail and its policy: off, warn or refuse, as NAME=POLICY.");
const PRODUCTION_PATH: Field<List> = Field::list(
    "production-path",
    "Paths of items and auth methods that are production, such as /prod/*; replaces those before.",
);

#[derive(Serialize)]
struct Reply<'a> {
    guard_rails: BTreeMap<&'static str, &'static str>,
    production_paths: &'a [String],
}

/// Shows them.
pub(super) static GET: ApiCommand = Command {
    spec: Spec {
        name: "get-guard-rails",
        aliases: &[],
        success: 200,
        summary: "Show what is warned of and what is refused because it is better left undone. \
                  Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, _| Box::pin(get(ctx)),
};

/// Changes them.
pub(super) static UPDATE: ApiCommand = Command {
    spec: Spec {
        name: "update-guard-rails",
        aliases: &[],
        success: 200,
        summary: "Change what is warned of and what is refused because it is better left undone. \
                  Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[PRESET.spec(), RAIL.spec(), PRODUCTION_PATH.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(update(ctx, args)),
};

async fn get(ctx: Ctx) -> Result<Answer, Fault> {
    let view = ctx.ask(AccountGet).await?;
    Answer::json(&reply(&view.account.settings))
}

async fn update(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let expected = ctx.ask(AccountEdit).await?.account.settings;
    let settings = apply(&args, expected.clone())?;
    let answer = Answer::json(&reply(&settings))?;
    ctx.ask(AccountUpdate { expected, settings, default_key: None }).await?;
    Ok(answer)
}

fn reply(settings: &AccountSettings) -> Reply<'_> {
    let rails = Rail::NAMES.into_iter();
    Reply {
        guard_rails: rails.map(|(rail, name)| (name, settings.policy(rail).name())).collect(),
        production_paths: &settings.guard_rails.production_paths,
    }
}

fn apply(args: &Args, mut settings: AccountSettings) -> Result<AccountSettings, Fault> {
    if let Some(profile) = args.get(&PRESET)? {
        let policy = match profile.to_ascii_lowercase().as_str() {
            "off" => Policy::Off,
            "strict" => Policy::Refuse,
            _ => Policy::Warn,
        };
        Rail::NAMES.iter().for_each(|(rail, _)| settings.set_policy(*rail, policy));
    }
    for (name, policy) in args.get(&RAIL)?.unwrap_or_default() {
        let rail = Rail::from_name(&name.to_ascii_lowercase())
            .ok_or_else(|| unknown("guard rail", &name, Rail::NAMES.map(|(_, name)| name)))?;
        let policy = Policy::from_name(&policy.to_ascii_lowercase())
            .ok_or_else(|| unknown("policy", &policy, Policy::NAMES.map(|(_, name)| name)))?;
        settings.set_policy(rail, policy);
    }
    if let Some(paths) = args.get(&PRODUCTION_PATH)? {
        settings.guard_rails.production_paths = paths;
    }
    Ok(settings)
}

fn unknown<const N: usize>(what: &str, given: &str, known: [&'static str; N]) -> Fault {
    Fault::bad_request(format!(
        "invalid value of 'rail': {what} '{}'; it must be one of {}",
        given.escape_default(),
        known.join(", ")
    ))
}
