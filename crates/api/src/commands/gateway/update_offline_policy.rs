//! `gateway-update-offline-policy`: what may be read while control is not reached.

use keysherd_base::{AccessId, Fault};
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, List, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::configs::Config;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::offline::{OFFLINE_CONFIG, OFFLINE_MINUTES_MAX, OFFLINE_PATHS_MAX, OfflinePolicy};

const ACCESS_ID: Field<Text> =
    Field::text("access-id", "The auth method whose bearers may read.").required();
const MAX_MINUTES: Field<Int> = Field::int(
    "max-minutes",
    "For how long after control was heard last, at most 1440; 0 takes the permission away.",
)
.required();
const PATH: Field<List> =
    Field::list("path", "Paths of the secrets, as rules of roles have them, at most 64.");

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-offline-policy",
        aliases: &[],
        success: 200,
        summary: "Allow reads while control is not reached, of what the gateway keeps. Ours, not \
                  of the V2 API.",
        groups: &[&SESSION],
        fields: &[ACCESS_ID.spec(), MAX_MINUTES.spec(), PATH.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The policy was changed"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let access_id = AccessId::parse(&args.need(&ACCESS_ID)?).map_err(|_| {
        Fault::bad_request("invalid value of 'access-id': it looks like p-0123456789ab")
    })?;
    let policy = policy(&args)?;
    // A policy of a method that is gone can be taken away, and not be made.
    let signs_for = policy.as_ref().map(|_| (access_id.clone(), None));
    let account = ctx.ask(GatewayConfigure { signs_for }).await?.account;
    let (configs, name) = (&ctx.services().configs, access_id.as_str().to_owned());
    match policy {
        None => drop(configs.remove(account, OFFLINE_CONFIG, &name).await?),
        Some(policy) => {
            let known = configs.get(account, OFFLINE_CONFIG, &name)?.is_some();
            let replaces = known.then(|| name.clone());
            let (kind, body) = (OFFLINE_CONFIG, policy.to_json()?);
            let config = Config { account, kind, name, access_id, body };
            configs.put(config, replaces.as_deref()).await?;
        }
    }
    Answer::json(&Reply { updated: true })
}

/// What is wanted; `None`: nothing is allowed any more.
fn policy(args: &Args) -> Result<Option<OfflinePolicy>, Fault> {
    let minutes = u32::try_from(args.need(&MAX_MINUTES)?).ok();
    let minutes = minutes.filter(|minutes| *minutes <= OFFLINE_MINUTES_MAX).ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of 'max-minutes': it must be 0 to {OFFLINE_MINUTES_MAX}"
        ))
    })?;
    let paths = args.get(&PATH)?.unwrap_or_default();
    if minutes == 0 {
        return Ok(None);
    }
    if paths.is_empty() || paths.len() > OFFLINE_PATHS_MAX {
        return Err(Fault::bad_request(format!(
            "invalid value of 'path': give 1 to {OFFLINE_PATHS_MAX} paths, such as /shop/*"
        )));
    }
    for path in &paths {
        let fits = RulePattern::parse(path).is_ok_and(|path| path.claims().next().is_none());
        if !fits {
            return Err(Fault::bad_request(format!(
                "invalid value of 'path': '{:.200}' must be a path as rules have it, such as \
                 /shop/*, without a template",
                path.escape_default().to_string()
            )));
        }
    }
    Ok(Some(OfflinePolicy { max_minutes: minutes, paths }))
}
