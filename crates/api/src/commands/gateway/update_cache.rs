//! `gateway-update-cache`: which reads gateways answer without asking control.

use keysherd_base::Fault;
use keysherd_plane::auth::OwnMethod;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};
use serde::Serialize;

use crate::caching::{CACHE_CONFIG, CACHE_MINUTES_MAX, CachePolicy};
use crate::commands::ApiCommand;
use crate::configs::Config;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const ENABLE_CACHE: Field<Flag> =
    Field::flag("enable-cache", "Answer reads without control as long as nothing has changed.");
const STALE_TIMEOUT: Field<Text> = Field::text(
    "stale-timeout",
    "Minutes for which an answer is repeated at most, 1 to 1440; 60 at first.",
);
const ENABLE_PROACTIVE: Field<Flag> =
    Field::flag("enable-proactive", "Read again, in the background, what was read lately.");
const MINIMUM_FETCH_INTERVAL: Field<Text> =
    Field::text("minimum-fetch-interval", "Minutes between two such reads, 1 to 1440; 5 at first.");
const BACKUP_INTERVAL: Field<Text> = Field::text(
    "backup-interval",
    "Minutes between two copies on disk, where there are any, 1 to 1440; 1 at first.",
);

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-cache",
        aliases: &[],
        success: 201,
        summary: "Set how the reads of the account are kept; what is not given stays as it is.",
        groups: &[&SESSION],
        fields: &[
            ENABLE_CACHE.spec(),
            STALE_TIMEOUT.spec(),
            ENABLE_PROACTIVE.spec(),
            MINIMUM_FETCH_INTERVAL.spec(),
            BACKUP_INTERVAL.spec(),
        ],
        reply: "GatewayUpdateOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The cache was changed"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    let services = ctx.services();
    let kept = services.configs.get(account, CACHE_CONFIG, "")?;
    let now = kept.as_ref().map(|(_, body)| CachePolicy::from_json(body)).transpose()?;
    let policy = wanted(&args, now.unwrap_or_else(|| services.crypt.cache_default()))?;
    // Whoever set it last.
    let access_id = ctx.ask(OwnMethod).await?.access_id;
    let (kind, name, body) = (CACHE_CONFIG, String::new(), policy.to_json()?);
    let config = Config { account, kind, name, access_id, body };
    services.configs.put_changed(config, kept.as_ref()).await?;
    services.crypt.cache_as(account, policy);
    let seconds = services.crypt.cache_seconds_max();
    let too_late = policy.is_ahead_too_late(seconds).then(|| too_late(&policy, seconds));
    Ok(Answer::json(&Reply { updated: true })?.with_warnings(too_late))
}

fn too_late(policy: &CachePolicy, seconds: u32) -> String {
    let minutes = policy.fetch_minutes;
    format!(
        "nothing is read ahead: that is after {minutes} minutes, and the owner's trust bundle ends \
         what is kept after {seconds} seconds (cache_ttl_seconds_max)"
    )
}

/// What is in force, but for what is given.
fn wanted(args: &Args, now: CachePolicy) -> Result<CachePolicy, Fault> {
    Ok(CachePolicy {
        enabled: args.get_or(&ENABLE_CACHE, now.enabled)?,
        ttl_minutes: minutes(args, &STALE_TIMEOUT, now.ttl_minutes)?,
        proactive: args.get_or(&ENABLE_PROACTIVE, now.proactive)?,
        fetch_minutes: minutes(args, &MINIMUM_FETCH_INTERVAL, now.fetch_minutes)?,
        backup_minutes: minutes(args, &BACKUP_INTERVAL, now.backup_minutes)?,
    })
}

fn minutes(args: &Args, field: &Field<Text>, now: u32) -> Result<u32, Fault> {
    let Some(text) = args.get(field)? else { return Ok(now) };
    let minutes = text.trim().parse().ok();
    minutes.filter(|minutes| (1..=CACHE_MINUTES_MAX).contains(minutes)).ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of '{}': it must be 1 to {CACHE_MINUTES_MAX} minutes",
            field.name()
        ))
    })
}
