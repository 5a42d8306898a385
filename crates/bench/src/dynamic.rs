//! `keysherd-bench dynamic` (row B10): what a temporary credential costs on a local PostgreSQL,
//! beside the same statements sent by hand; and whether a thousand of them a minute are made, and
//! end in time.
//!
//! By hand means twice: in one session that stays open, which is the least that it can cost, and
//! in a session of its own each time, as the server has one.

mod database;

use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;
use tokio::task::JoinSet;

use crate::actor::{Actor, Calls};
use crate::connection::Endpoint;
use crate::console;
use crate::cores::Cores;
use crate::place::Place;
use crate::product;
use crate::served::{Served, Start};
use crate::settings::{self, Settings};
use database::{Database, PASSWORD, Session, USER};

/// Statements that make a user, and those that remove it (the engine's own defaults).
const CREATE: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                      GRANT SELECT ON t1 TO \"{{name}}\"";
const REMOVE: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
                      where usename = '{{name}}'; DROP OWNED BY \"{{name}}\"; \
                      DROP USER \"{{name}}\"";
/// Clients that keep the rate.
const CLIENTS: u32 = 8;
/// How long credentials live while the rate is kept, in seconds.
const LIFE_SECONDS: u32 = 20;
/// Longest time until the last of them is gone.
const GONE_MAX: Duration = Duration::from_secs(120);

/// Its command line.
pub(crate) fn command() -> Command {
    let option = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u32)).help(help)
    };
    settings::arguments(Command::new("dynamic"))
        .about("Temporary credentials on a local PostgreSQL, beside the same SQL by hand.")
        .arg(option("rate", "Credentials a minute [default: 1000]"))
        .arg(option("rate-seconds", "Seconds for which the rate is kept [default: 60]"))
}

/// Measures and prints.
///
/// # Errors
/// When something cannot be started, is lost or answers wrongly; never because it is slow.
pub(crate) async fn run(flags: &ArgMatches) -> Result<(), String> {
    let settings = Settings::of(flags)?;
    let number = |name: &str, usual: u32| flags.get_one::<u32>(name).copied().unwrap_or(usual);
    let rate = number("rate", 1_000).max(1);
    let kept = number("rate-seconds", if settings.smoke { 3 } else { 60 });
    let binary = product::binary(&settings)?;
    let cores = if settings.pin { Cores::take()? } else { None };
    let place = Place::open(&settings)?;
    let database = Database::start(place.directory())?;
    let (data_dir, log) = (place.server(), place.log());
    let start = Start { binary: &binary, data_dir: &data_dir, log: &log, key_cache: true, cores };
    let server = Served::server(start).await?;
    let token = Actor::administrator(&data_dir)?.login(&server.endpoint).await?;
    let mut calls = Calls::new(&server.endpoint, &token).await?;
    make(&mut calls, &database).await?;
    let times = beside(&mut calls, &database, settings.seconds).await?;
    console::say(&times.sentences());
    let sustained = sustain(&server.endpoint, &token, (rate, kept)).await?;
    console::say(&sustained);
    server.stop()
}

async fn make(calls: &mut Calls, database: &Database) -> Result<(), String> {
    let session = database.session().await?;
    session.run("CREATE TABLE IF NOT EXISTS t1 (x int)").await?;
    let target = json!({
        "name": "/bench/db", "db-type": "postgres", "host": "127.0.0.1",
        "port": database.port.to_string(), "user-name": USER, "pwd": PASSWORD,
        "db-name": "postgres",
    });
    calls.call("target-create-db", target).await?;
    for (name, life) in
        [("/bench/long", "60m".to_owned()), ("/bench/short", format!("{LIFE_SECONDS}s"))]
    {
        let secret = json!({
            "name": name, "target-name": "/bench/db", "creation-statements": CREATE,
            "user-ttl": life,
        });
        calls.call("dynamic-secret-create-postgresql", secret).await?;
    }
    Ok(())
}

/// What a pair took each time: made, and removed.
#[derive(Default)]
struct Times {
    product: [Vec<Duration>; 2],
    open: [Vec<Duration>; 2],
    own: [Vec<Duration>; 2],
}

/// The three take turns, so that all see the same machine.
async fn beside(
    calls: &mut Calls,
    database: &Database,
    seconds: Duration,
) -> Result<Times, String> {
    let mut times = Times::default();
    let open = database.session().await?;
    let (began, mut number) = (Instant::now(), 0_u32);
    while began.elapsed() < seconds || number < 5 {
        number += 1;
        let at = Instant::now();
        let made = calls.call("dynamic-secret-get-value", json!({"name": "/bench/long"})).await?;
        times.product[0].push(at.elapsed());
        let at = Instant::now();
        let revoke = json!({"name": "/bench/long", "tmp-creds-id": made["id"]});
        calls.call("dynamic-secret-tmp-creds-delete", revoke).await?;
        times.product[1].push(at.elapsed());
        for (place, statements) in [CREATE, REMOVE].into_iter().enumerate() {
            let whole = transaction(statements, &format!("by-hand-{number}"));
            times.open[place].push(timed(open.run(&whole)).await?);
        }
        for (place, statements) in [CREATE, REMOVE].into_iter().enumerate() {
            let whole = transaction(statements, &format!("by-hand-own-{number}"));
            let work = async {
                let session: Session = database.session().await?;
                session.run(&whole).await
            };
            times.own[place].push(timed(work).await?);
        }
    }
    Ok(times)
}

fn transaction(statements: &str, name: &str) -> String {
    let filled = statements.replace("{{name}}", name).replace("{{password}}", "Bench-password-24");
    format!("BEGIN; {filled}; COMMIT")
}

async fn timed(work: impl Future<Output = Result<(), String>>) -> Result<Duration, String> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed())
}

fn quantile(times: &[Duration], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let last = u32::try_from(sorted.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let place = (f64::from(last) * part).round();
    // It is between the first place and the last one.
    let found = sorted
        .iter()
        .enumerate()
        .find(|(at, _)| u32::try_from(*at).is_ok_and(|at| f64::from(at) >= place));
    found.map_or(0.0, |(_, time)| time.as_secs_f64() * 1e3)
}

impl Times {
    fn sentences(&self) -> String {
        let mut text = format!(
            "B10, {} credentials made and removed one after the other, in milliseconds\n\
             {:<34}{:>12}{:>12}{:>12}{:>12}\n",
            self.product[0].len(),
            "",
            "make p50",
            "p99",
            "remove p50",
            "p99"
        );
        let rows = [
            ("the server", &self.product),
            ("SQL by hand, a session each", &self.own),
            ("SQL by hand, one session", &self.open),
        ];
        for (title, [made, removed]) in rows {
            let [a, b, c, d] = [(made, 0.5), (made, 0.99), (removed, 0.5), (removed, 0.99)]
                .map(|(times, part)| quantile(times, part));
            text.push_str(&format!("{title:<34}{a:>12.1}{b:>12.1}{c:>12.1}{d:>12.1}\n"));
        }
        let pair = |of: &[Vec<Duration>; 2]| quantile(&of[0], 0.5) + quantile(&of[1], 0.5);
        let product = pair(&self.product);
        text.push_str(&format!(
            "ratio of a pair: {:.2} to a session each, {:.2} to one session\n",
            product / pair(&self.own).max(f64::MIN_POSITIVE),
            product / pair(&self.open).max(f64::MIN_POSITIVE)
        ));
        text
    }
}

/// Keeps a rate: each credential has its moment, whether or not the last one was answered, and is
/// measured from there.
async fn sustain(
    endpoint: &Endpoint,
    token: &str,
    (rate, seconds): (u32, u32),
) -> Result<String, String> {
    let pause = Duration::from_secs(60) / rate;
    let count = rate * seconds / 60;
    let start = tokio::time::Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (endpoint, token) = (endpoint.clone(), token.to_owned());
        clients.spawn(async move {
            let mut calls = Calls::new(&endpoint, &token).await?;
            let mut times = Vec::new();
            let mine = (0..count).filter(|number| number % CLIENTS == client);
            for number in mine {
                let moment = start + pause * number;
                tokio::time::sleep_until(moment).await;
                calls.call("dynamic-secret-get-value", json!({"name": "/bench/short"})).await?;
                times.push(moment.elapsed());
            }
            Ok::<_, String>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = clients.join_next().await {
        times.extend(done.map_err(|error| error.to_string())??);
    }
    let took = start.elapsed();
    let mut calls = Calls::new(endpoint, token).await?;
    let gone = until_gone(&mut calls).await?;
    let behind = gone.saturating_sub(Duration::from_secs(LIFE_SECONDS.into()));
    Ok(format!(
        "{} credentials at {rate} a minute for {:.0} s: p50 {:.1} ms, p99 {:.1} ms, from their \
         moment on; each lives {LIFE_SECONDS} s, and the last was gone {:.1} s after its end",
        times.len(),
        took.as_secs_f64(),
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        behind.as_secs_f64(),
    ))
}

/// How long it takes from now on until there is none any more.
async fn until_gone(calls: &mut Calls) -> Result<Duration, String> {
    let began = Instant::now();
    while began.elapsed() < GONE_MAX {
        let list = json!({"name": "/bench/short"});
        let left = calls.call("dynamic-secret-tmp-creds-get", list).await?;
        if left.as_array().is_some_and(Vec::is_empty) {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("credentials were not removed in time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_in_the_middle() {
        let times: Vec<_> = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!((quantile(&times, 0.5), quantile(&times, 0.99)), (51.0, 100.0));
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn by_hand_is_what_the_engine_does() {
        let whole = transaction(CREATE, "u");
        assert!(whole.starts_with("BEGIN; CREATE ROLE \"u\"") && whole.ends_with("; COMMIT"));
        assert!(!whole.contains("{{"), "{whole}");
    }
}
