//! Settings of reads that a gateway answers without asking control. What administrators set with
//! `gateway-update-cache` wins over them, for their account.

use clap::Arg;
use keysherd_api::{CACHE_MINUTES_MAX, CachePolicy};
use keysherd_gateway::CacheSettings;

use super::settings::{Settings, option, switch};
use crate::exit::Exit;

/// Reads that are read again in the background at one time, at most.
const WORKERS_MAX: u64 = 64;
/// Other names that V2 gateways have for `PROACTIVE_CACHE_ENABLE`.
const PROACTIVE_TOO: [&str; 2] = ["NEW_PROACTIVE_CACHE_ENABLE", "PRO_ACTIVE_CACHE_ENABLE"];

/// The options.
pub(super) fn options() -> [Arg; 6] {
    let on = switch("cache", "Answer reads without control as long as nothing has changed");
    let proactive =
        switch("proactive-cache", "Read again, in the background, what was read lately");
    [
        on.env("CACHE_ENABLE"),
        option(
            "cache-ttl-minutes",
            "MINUTES",
            "CACHE_TTL",
            "How long an answer is repeated at most, 1 to 1440 [default: 60]",
        ),
        option(
            "cache-max-items",
            "NUMBER",
            "CACHE_MAX_ITEMS",
            "Items in that cache, 1 to 4000000; one has up to 4 KiB [default: 50000]",
        ),
        proactive.env("PROACTIVE_CACHE_ENABLE"),
        option(
            "proactive-cache-minutes",
            "MINUTES",
            "PROACTIVE_CACHE_MINIMUM_FETCHING_TIME",
            "Minutes between two such reads of the same, 1 to 1440 [default: 5]",
        ),
        option(
            "proactive-cache-workers",
            "NUMBER",
            "PROACTIVE_CACHE_WORKERS",
            "Such reads at one time, 1 to 64 [default: 3]",
        ),
    ]
}

/// Reads the settings.
///
/// # Errors
/// [`Exit::Configuration`] names the setting, its value and what is allowed.
pub(super) fn load(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<CacheSettings, Exit> {
    let started = CachePolicy::default();
    let minutes = |name: &str, default: u32| {
        let minutes = settings.number(name, 1..=CACHE_MINUTES_MAX.into(), default.into())?;
        Ok::<_, Exit>(u32::try_from(minutes).unwrap_or(default))
    };
    let is_on = |name: &&str| env(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let proactive = settings.is_set("proactive-cache")? || PROACTIVE_TOO.iter().any(is_on);
    Ok(CacheSettings {
        policy: CachePolicy {
            enabled: settings.is_set("cache")?,
            ttl_minutes: minutes("cache-ttl-minutes", started.ttl_minutes)?,
            proactive,
            fetch_minutes: minutes("proactive-cache-minutes", started.fetch_minutes)?,
            ..started
        },
        items_max: settings.number("cache-max-items", 1..=4_000_000, 50_000)?,
        workers: usize::try_from(settings.number("proactive-cache-workers", 1..=WORKERS_MAX, 3)?)
            .unwrap_or(1),
    })
}
