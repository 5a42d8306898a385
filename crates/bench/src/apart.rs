//! `apart`: the same rows against one process that plays all roles and against five that are
//! apart (control, three fragment managers, a gateway), with the CPU time of each role; then the
//! background work that goes over everything stored.

mod bundle;
pub(crate) mod five;
mod jobs;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::actor::Actor;
use crate::console;
use crate::cores::Cores;
use crate::drive::{Bench, run_number};
use crate::load::load;
use crate::names::Names;
use crate::place::Place;
use crate::product;
use crate::report::Report;
use crate::row::{APART_ROWS, Work};
use crate::served::{Served, Start};
use crate::settings::{self, Settings};
use five::Five;
use jobs::Job;
use report::{Apart, Setup};

/// The command.
pub(crate) fn command() -> Command {
    let keys = Arg::new("keys").long("keys").value_name("N").value_parser(value_parser!(u32));
    settings::arguments(Command::new("apart"))
        .about("Measures five processes, one for each role, beside one process.")
        .arg(keys.help("Keys that are made; 0: none [default: 10000]"))
}

/// Measures and prints.
///
/// # Errors
/// As [`crate::drive::run`].
pub(crate) async fn run(flags: &ArgMatches) -> Result<(), String> {
    let settings = Settings::of(flags)?;
    let keys = flags.get_one::<u32>("keys").copied();
    let keys = keys.unwrap_or(if settings.smoke { 3 } else { 10_000 });
    let apart = measure(&settings, keys).await?;
    console::say(&if settings.json { apart.json() } else { apart.table() });
    Ok(())
}

async fn measure(settings: &Settings, keys: u32) -> Result<Apart, String> {
    let binary = product::binary(settings)?;
    let cores = if settings.pin { Cores::take()? } else { None };
    let place = Place::open(settings)?;
    let names = Arc::new(Names::new(settings.secrets));
    let report = Report::new(settings, cores.is_some(), place.directory())?;
    let (data_dir, log) = (place.directory().join("one"), place.log());
    if data_dir.exists() {
        return Err(format!("{}: give --data-dir a new directory", data_dir.display()));
    }
    let start = Start { binary: &binary, data_dir: &data_dir, log: &log, key_cache: true, cores };
    let mut one = Installation::One(start);
    let server = one.start(true).await?;
    // The echo's certificate is that server's.
    let echo = Served::echo(&data_dir, cores).await?;
    let actor = prepare(&server, &one.credentials(), &names).await?;
    let echoes = BTreeMap::new();
    let mut bench = Bench { settings, place: &place, names, actor, echo, echoes, report };
    let mut apart = Apart::default();
    apart.jobs.extend(rows(&mut bench, &mut one, server, keys).await?);
    apart.take(&mut bench.report, Setup::One);
    let mut five = Installation::Five(Five::new(&binary, place.directory().join("five"), cores)?);
    let server = five.start(true).await?;
    bench.actor = prepare(&server, &five.credentials(), &bench.names).await?;
    apart.jobs.extend(rows(&mut bench, &mut five, server, keys).await?);
    apart.take(&mut bench.report, Setup::Five);
    apart.report = Some(bench.report);
    Ok(apart)
}

/// Fills an empty installation, and makes who reads it.
async fn prepare(server: &Served, credentials: &Path, names: &Arc<Names>) -> Result<Actor, String> {
    let actor = Actor::create(&server.endpoint, credentials, run_number()).await?;
    load(&server.endpoint, &actor, names, 0).await?;
    Ok(actor)
}

/// All rows of an installation that runs as `server`, and the background work after them.
async fn rows(
    bench: &mut Bench<'_>,
    installation: &mut Installation<'_>,
    server: Served,
    keys: u32,
) -> Result<Vec<Job>, String> {
    for row in APART_ROWS.iter().filter(|row| row.warm) {
        if matches!(row.work, Work::Get(_)) {
            bench.open_keys(&server).await?;
        }
        bench.row(row, &server).await?;
    }
    server.stop()?;
    for row in APART_ROWS.iter().filter(|row| !row.warm) {
        // Started anew, so that nothing was read before.
        let server = installation.start(false).await?;
        bench.row(row, &server).await?;
        server.stop()?;
    }
    let server = installation.start(true).await?;
    let done = jobs::all(&server, &installation.credentials(), keys).await?;
    server.stop()?;
    Ok(done)
}

/// What is measured.
enum Installation<'a> {
    One(Start<'a>),
    Five(Five),
}

impl Installation<'_> {
    /// Starts it.
    async fn start(&mut self, key_cache: bool) -> Result<Served, String> {
        match self {
            Self::One(start) => Served::server(Start { key_cache, ..*start }).await,
            Self::Five(five) => five.start(key_cache).await,
        }
    }

    /// Where its first credentials are.
    fn credentials(&self) -> PathBuf {
        match self {
            Self::One(start) => start.data_dir.to_owned(),
            Self::Five(five) => five.credentials(),
        }
    }
}
