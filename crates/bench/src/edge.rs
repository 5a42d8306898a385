//! `edge`: what gateways that keep reads are worth: with control near and far, with and without
//! their cache, one and two of them, after a start, and when all clients come at once.

mod relay;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;
use tokio::task::JoinSet;

use crate::actor::{Actor, Calls};
use crate::apart::five::{Behind, Five};
use crate::console;
use crate::cores::Cores;
use crate::drive::run_number;
use crate::generator::Fleet;
use crate::load::load;
use crate::names::Names;
use crate::place::Place;
use crate::product;
use crate::row::{Measured, Part, measure};
use crate::scripts::{Read, Script};
use crate::served::Served;
use crate::settings::{self, Settings};
use crate::walk::Walk;
use relay::Relay;
use report::{Crowd, Edge, EdgeRow, Filled};

/// Round trips to control, in milliseconds.
const CONTROL_MS: [u64; 3] = [0, 5, 50];
/// Secrets that the warm rows read.
const WARM_NAMES: u32 = 100;
/// Connections that read something for the first time.
const OPENERS: usize = 16;
/// Longest time that may take.
const OPEN_MAX: Duration = Duration::from_secs(600);
/// Connections to each of two gateways.
const EACH_OF_TWO: u32 = 8;
/// Secrets of each client of a crowd.
const CROWD_SECRETS: u32 = 150;
/// Clients of a crowd that are under way at one time.
const CROWD_AT_ONCE: usize = 64;

/// The command.
pub(crate) fn command() -> Command {
    let option = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u32)).help(help)
    };
    settings::arguments(Command::new("edge"))
        .about("Measures gateways that keep reads, with control near and far.")
        .arg(option("items", "Reads that are kept to see their memory [default: all secrets]"))
        .arg(option("clients", "Clients that come at once [default: 1000]"))
}

/// Measures and prints.
///
/// # Errors
/// As [`crate::drive::run`].
pub(crate) async fn run(flags: &ArgMatches) -> Result<(), String> {
    let settings = Settings::of(flags)?;
    let number = |name: &str| flags.get_one::<u32>(name).copied();
    let items = number("items").unwrap_or(settings.secrets).min(settings.secrets);
    let clients = number("clients").unwrap_or(if settings.smoke { 5 } else { 1_000 });
    let edge = all(&settings, items, clients).await?;
    console::say(&if settings.json { edge.json() } else { edge.table() });
    Ok(())
}

async fn all(settings: &Settings, items: u32, clients: u32) -> Result<Edge, String> {
    let binary = product::binary(settings)?;
    let cores = if settings.pin { Cores::take()? } else { None };
    let place = Place::open(settings)?;
    let mut site = Site::start(settings, &binary, place.directory().join("edge"), cores).await?;
    let mut edge = Edge::default();
    site.near_and_far(&mut edge).await?;
    site.relay.set_round_trip(0);
    site.one_and_two(&mut edge).await?;
    for control_ms in [0, 50] {
        site.relay.set_round_trip(control_ms);
        site.start_again().await?;
        edge.ready.push((control_ms, site.first.ready_after));
    }
    site.relay.set_round_trip(0);
    edge.filled = Some(site.filled(items).await?);
    edge.crowd = Some(site.crowd(clients).await?);
    site.stop()?;
    Ok(edge)
}

/// Control and managers, and two gateways that reach control over a relay.
struct Site<'a> {
    settings: &'a Settings,
    five: Five,
    relay: Relay,
    behind: Behind,
    first: Served,
    second: Served,
    names: Arc<Names>,
    actor: Actor,
    administrator: Actor,
}

impl<'a> Site<'a> {
    async fn start(
        settings: &'a Settings,
        binary: &Path,
        directory: std::path::PathBuf,
        cores: Option<Cores>,
    ) -> Result<Self, String> {
        let mut five = Five::new(binary, directory, cores)?;
        let behind = five.behind()?;
        let relay = Relay::start(behind.address())?;
        let words = words(&relay);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let begin = Instant::now();
        let [first, second] = [five.front("gateway", &words)?, five.front("gateway-2", &words)?];
        five.begin(&behind, &[&first, &second])?;
        let [first, second] = [five.ready(first, begin).await?, five.ready(second, begin).await?];
        let names = Arc::new(Names::new(settings.secrets));
        let actor = Actor::create(&first.endpoint, &five.credentials(), run_number()).await?;
        load(&first.endpoint, &actor, &names, 0).await?;
        let administrator = Actor::administrator(&five.credentials())?;
        Ok(Self { settings, five, relay, behind, first, second, names, actor, administrator })
    }

    /// Switches the cache; what was kept, and every opened key, is gone when it goes off.
    async fn keep(&self, on: bool) -> Result<(), String> {
        for server in [&self.first, &self.second] {
            let token = self.administrator.login(&server.endpoint).await?;
            let mut calls = Calls::new(&server.endpoint, &token).await?;
            calls.call("gateway-update-cache", json!({ "enable-cache": on.to_string() })).await?;
        }
        Ok(())
    }

    fn reads(&self, token: &str, walk: Walk, connections: usize) -> Scripts {
        let walk = Arc::new(walk);
        let read = || Read::new(token, self.names.clone(), walk.clone(), 1);
        (0..connections).map(|_| Box::new(read()) as Box<dyn Script>).collect()
    }

    /// Reads some secrets once, each by itself.
    async fn read_once(&self, server: &Served, token: &str, some: u32) -> Result<(), String> {
        let walk = Walk::one_round(some, self.names.count(), 1);
        let scripts = self.reads(token, walk, OPENERS);
        let mut fleet = Fleet::connect(&server.endpoint, OPENERS).await?;
        fleet.run(scripts, OPEN_MAX).await.map(drop)
    }

    /// Reads that were made a moment ago.
    async fn warm(&self, server: &Served, connections: u32) -> Result<Measured, String> {
        let token = self.actor.login(&server.endpoint).await?;
        let some = WARM_NAMES.min(self.names.count());
        self.read_once(server, &token, some).await?;
        let count = usize::try_from(connections).map_err(|error| error.to_string())?;
        let scripts = |_: Part| self.reads(&token, Walk::around(some, self.names.count()), count);
        Ok(measure(server, connections, self.settings, scripts).await?.0)
    }

    /// Reads of secrets that were not read before.
    async fn cold(&self) -> Result<Measured, String> {
        let token = self.actor.login(&self.first.endpoint).await?;
        let secrets = self.names.count();
        let scripts = |part: Part| {
            let part = match part {
                Part::WarmUp => 0..secrets / 10,
                Part::Counted => secrets / 10..secrets,
            };
            self.reads(&token, Walk::once(part, secrets), 1)
        };
        Ok(measure(&self.first, 1, self.settings, scripts).await?.0)
    }

    async fn near_and_far(&self, edge: &mut Edge) -> Result<(), String> {
        for control_ms in CONTROL_MS {
            self.relay.set_round_trip(control_ms);
            for cache in [false, true] {
                for connections in [1, 16] {
                    self.keep(cache).await?;
                    let measured = self.warm(&self.first, connections).await?;
                    let title = "get 1, warm";
                    edge.push(EdgeRow { title, control_ms, cache, connections, measured });
                }
            }
            self.keep(false).await?;
            let (measured, title) = (self.cold().await?, "get 1, cold");
            edge.push(EdgeRow { title, control_ms, cache: false, connections: 1, measured });
        }
        Ok(())
    }

    async fn one_and_two(&self, edge: &mut Edge) -> Result<(), String> {
        self.keep(true).await?;
        let one = self.warm(&self.first, 2 * EACH_OF_TWO).await?;
        let (left, right) =
            tokio::join!(self.warm(&self.first, EACH_OF_TWO), self.warm(&self.second, EACH_OF_TWO));
        edge.one_and_two = (one.per_second, left?.per_second + right?.per_second);
        Ok(())
    }

    /// Starts the first gateway again.
    async fn start_again(&mut self) -> Result<(), String> {
        let words = words(&self.relay);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for process in self.first.processes.drain(..) {
            process.stop()?;
        }
        let begin = Instant::now();
        let started = self.five.front("gateway", &words)?;
        self.first = self.five.ready(started, begin).await?;
        Ok(())
    }

    /// What a gateway that has just started needs to keep so many reads.
    async fn filled(&self, items: u32) -> Result<Filled, String> {
        let token = self.actor.login(&self.first.endpoint).await?;
        // Everything but the items is there before.
        self.read_once(&self.first, &token, WARM_NAMES.min(items)).await?;
        let entries = || async { entries(&self.first).await };
        let before = (entries().await?, self.first.memory()?.rss);
        self.read_once(&self.first, &token, items).await?;
        let after = (entries().await?, self.first.memory()?.rss);
        let kept = after.0.saturating_sub(before.0);
        let grown = u32::try_from(after.1.saturating_sub(before.1)).unwrap_or(u32::MAX);
        let bytes_each =
            f64::from(grown) * 1024.0 / f64::from(u32::try_from(kept.max(1)).unwrap_or(u32::MAX));
        Ok(Filled { items: kept, bytes_each })
    }

    /// Clients that come at once: a new connection, a login and one call for many secrets each.
    async fn crowd(&self, clients: u32) -> Result<Crowd, String> {
        let secrets = CROWD_SECRETS.min(self.names.count());
        let names: Vec<_> = (0..secrets).map(|index| self.names.of(index).to_owned()).collect();
        let body = json!({ "names": names });
        let spent = || {
            let front = self.first.cpu_times()?.into_iter();
            Ok::<Duration, String>(front.chain(self.behind.cpu_times()?).sum())
        };
        let (begin, before) = (Instant::now(), spent()?);
        let mut running = JoinSet::new();
        for _ in 0..clients {
            if running.len() >= CROWD_AT_ONCE {
                done(running.join_next().await)?;
            }
            let (endpoint, body) = (self.first.endpoint.clone(), body.clone());
            let (id, key) = (self.actor.access_id.clone(), self.actor.access_key.expose().clone());
            running.spawn(async move {
                let mut calls = Calls::anonymous(&endpoint).await?;
                let login = json!({ "access-id": id, "access-key": key });
                let token = calls.call("auth", login).await?["token"].take();
                calls.sign_in(token.as_str().ok_or("a login without token")?);
                let values = calls.call("get-secret-value", body).await?;
                let count = values.as_object().map_or(0, serde_json::Map::len);
                Ok::<usize, String>(count)
            });
        }
        while !running.is_empty() {
            done(running.join_next().await)?;
        }
        let (took, cpu) = (begin.elapsed(), spent()?.saturating_sub(before));
        Ok(Crowd { clients, secrets, took, cpu })
    }

    fn stop(self) -> Result<(), String> {
        self.first.stop()?;
        self.second.stop()?;
        self.behind.stop()
    }
}

type Scripts = Vec<Box<dyn Script>>;

/// What both gateways are started with.
fn words(relay: &Relay) -> [String; 5] {
    ["--control", relay.address.as_str(), "--cache", "--cache-max-items", "4000000"]
        .map(str::to_owned)
}

/// How many reads a gateway keeps.
async fn entries(server: &Served) -> Result<u64, String> {
    let mut connection = server.endpoint.connect().await?;
    let answer = connection.call(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let status: serde_json::Value =
        serde_json::from_slice(answer.body).map_err(|error| error.to_string())?;
    status["gateway"]["cache"]["entries"].as_u64().ok_or_else(|| format!("no cache in {status}"))
}

fn done(
    joined: Option<Result<Result<usize, String>, tokio::task::JoinError>>,
) -> Result<(), String> {
    match joined {
        None => Ok(()),
        Some(Ok(Ok(0))) => Err("a client of the crowd got nothing".to_owned()),
        Some(Ok(outcome)) => outcome.map(drop),
        Some(Err(error)) => Err(error.to_string()),
    }
}

impl Edge {
    fn push(&mut self, row: EdgeRow) {
        let EdgeRow { title, control_ms, cache, connections, measured } = &row;
        console::note(&format!(
            "{title}, control {control_ms} ms away, cache {cache}, c={connections}: {:.0} a \
             second, p50 {:.0} us",
            measured.per_second, measured.p50
        ));
        self.rows.push(row);
    }
}
