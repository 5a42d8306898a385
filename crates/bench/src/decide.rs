//! `keysherd-bench decide`: what a request pays for being allowed, in this process and without a
//! server: the decision among many rules, making the rules of a bearer ready, and recognizing a
//! bearer token.
//!
//! The role has rules of every form, among them denies and templates; the paths that are asked
//! about are covered by each of them in turn, and by none.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use hdrhistogram::Histogram;
use keysherd_base::{AccountId, ItemPath, Secret, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::token::TokenKey;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Capabilities, Capability, Role, Rule, RuleKind};
use serde_json::{Value, json};

use crate::console;
use crate::row::from_nanoseconds;

/// Rules in the role, in turn.
const RULES: [usize; 3] = [10, 1_000, 10_000];
/// Longest decision among 10,000 rules that is aimed at, in microseconds.
const DECISION_AIM_US: f64 = 20.0;
/// Longest time of making 10,000 rules ready that is aimed at, in milliseconds.
const READY_AIM_MS: f64 = 10.0;
/// Decisions that are timed as one, so that reading the clock does not count.
const GROUP: u32 = 64;
/// Bytes in the body of a token whose bearer has some claims.
const BODY_BYTES: usize = 160;
const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);

/// Its command line.
pub(crate) fn command() -> Command {
    let seconds = Arg::new("seconds")
        .long("seconds")
        .value_name("S")
        .default_value("3")
        .value_parser(value_parser!(f64))
        .help("Time of each row");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let about = "Policy decisions at 10, 1,000 and 10,000 rules, and bearer tokens.";
    Command::new("decide").about(about).args([seconds, json])
}

/// Measures and prints.
///
/// # Errors
/// When a decision is wrong or a token does not open.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), String> {
    let seconds = flags.get_one::<f64>("seconds").copied().unwrap_or_default();
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    let rows = RULES.iter().map(|rules| decisions(*rules, time)).collect::<Result<Vec<_>, _>>()?;
    let tokens = tokens(time)?;
    if flags.get_flag("json") {
        console::say(&json!({ "rows": rows, "tokens": tokens }).to_string());
        return Ok(());
    }
    for row in rows {
        console::say(&format!(
            "{:6} rules: decision p50 {} us, p99 {} us; made ready in {} ms (median of {})\n",
            row["rules"], row["p50_us"], row["p99_us"], row["ready_ms"], row["times_made_ready"],
        ));
    }
    console::say(&format!(
        "aims: a decision among 10,000 rules <= {DECISION_AIM_US} us, made ready <= {READY_AIM_MS} \
         ms\nt- token of {} characters: recognized in {} us, seen before in {} us\n",
        tokens["characters"], tokens["opened_us"], tokens["seen_us"],
    ));
    Ok(())
}

fn claims() -> SubClaims {
    let names = [("u", &["ann", "bob"][..]), ("team", &["a"])];
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    SubClaims(names.map(|(name, values)| (name.to_owned(), owned(values))).into())
}

/// Rule number `n` of the role.
fn rule(n: usize) -> Rule {
    let path = match n % 5 {
        0 => format!("/org/app-{n:05}/db/password"),
        1 => format!("/org/app-{n:05}/*"),
        2 => format!("/org/prefix-{n:05}-*"),
        3 => format!("/org/+/shared-{n:05}"),
        _ => format!("/home/{{{{u}}}}/key-{n:05}"),
    };
    let capability = if denies(n) { Capability::Deny } else { Capability::Read };
    let capabilities = Capabilities::NONE.with(capability);
    Rule { kind: RuleKind::Item, path, capabilities, expires: None }
}

const fn denies(n: usize) -> bool {
    n.is_multiple_of(50)
}

/// A path that rule number `n` covers, and whether it may be read.
fn path(n: usize) -> (String, bool) {
    let path = match n % 5 {
        0 => format!("/org/app-{n:05}/db/password"),
        1 => format!("/org/app-{n:05}/x/y"),
        2 => format!("/org/prefix-{n:05}-x"),
        3 => format!("/org/any/shared-{n:05}"),
        _ => format!("/home/bob/key-{n:05}"),
    };
    (path, !denies(n))
}

fn decisions(rules: usize, time: Duration) -> Result<Value, String> {
    let path_of_role = ItemPath::parse("/bench/role").map_err(|error| error.to_string())?;
    let role = Role {
        id: 1,
        account: AccountId::default(),
        path: path_of_role,
        comment: String::new(),
        admin: false,
        rules: (0..rules).map(rule).collect(),
        delete_protection: false,
        created: NOW,
        modified: NOW,
    };
    let (set, ready, times) = make_ready(&role, time / 4)?;
    let mut paths: Vec<(String, bool)> =
        (0..rules.min(500)).map(|n| path(n * rules / 500.min(rules))).collect();
    paths.push(("/nothing/covers/this".to_owned(), false));
    for (path, expected) in &paths {
        let decision = set.decide(RuleKind::Item, path, Capability::Read, NOW);
        if decision.is_granted() != *expected {
            return Err(format!("{path}: {decision:?}, not {expected}"));
        }
    }
    let mut paths = paths.iter().cycle();
    let each = timed(time, || {
        for (path, _) in paths.by_ref().take(GROUP as usize) {
            black_box(set.decide(RuleKind::Item, black_box(path), Capability::Read, NOW));
        }
    })?;
    Ok(json!({
        "rules": rules, "p50_us": each.p50, "p99_us": each.p99, "decisions": each.count,
        "ready_ms": ready, "times_made_ready": times,
    }))
}

/// The rules of a bearer, the median time of making them ready in milliseconds, and of how many.
fn make_ready(role: &Role, time: Duration) -> Result<(RuleSet, Value, usize), String> {
    let claims = claims();
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        let set = RuleSet::compile([(role, true)], black_box(&claims));
        times.push(start.elapsed());
        if begin.elapsed() >= time {
            times.sort_unstable();
            let median = times.get(times.len() / 2).ok_or("no time was taken")?;
            return Ok((set, rounded(median.as_secs_f64() * 1e3), times.len()));
        }
    }
}

/// What one of [`GROUP`] took, in microseconds.
struct Each {
    p50: Value,
    p99: Value,
    count: u64,
}

fn timed(time: Duration, mut group: impl FnMut()) -> Result<Each, String> {
    let mut latency: Histogram<u64> = Histogram::new(3).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    while begin.elapsed() < time {
        let start = Instant::now();
        group();
        // In thousandths, since a single one can take less than a few nanoseconds.
        let took = start.elapsed().as_nanos() * 1_000 / u128::from(GROUP);
        let took = u64::try_from(took).map_err(|error| error.to_string())?;
        latency.record(took).map_err(|error| error.to_string())?;
    }
    let at = |part| rounded(from_nanoseconds(latency.value_at_quantile(part)) / 1e3);
    let count = latency.len() * u64::from(GROUP);
    Ok(Each { p50: at(0.5), p99: at(0.99), count })
}

/// A bearer token that this process has not seen, and one that it has: what is left then is
/// finding it by its hash.
fn tokens(time: Duration) -> Result<Value, String> {
    let key = TokenKey::new(&Secret::new([7; 32]));
    let token = key.seal("t-", &[9; BODY_BYTES]);
    if key.open("t-", token.expose()).as_deref() != Some(&[9; BODY_BYTES]) {
        return Err("a token does not open".to_owned());
    }
    let opened = timed(time, || {
        for _ in 0..GROUP {
            black_box(key.open("t-", black_box(token.expose())));
        }
    })?;
    let seen = timed(time, || {
        for _ in 0..GROUP {
            black_box(sha256(&[black_box(token.expose()).as_bytes()]));
        }
    })?;
    let characters = token.expose().len();
    Ok(json!({ "characters": characters, "opened_us": opened.p50, "seen_us": seen.p50 }))
}

/// To a thousandth.
fn rounded(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}
