//! One run: start-up, loading, the warm rows, the cold rows, with the echo and the disk between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Clock as _, SystemClock};
use serde_json::json;

use crate::actor::{Actor, Calls};
use crate::console::note;
use crate::cores::Cores;
use crate::generator::Fleet;
use crate::load::load;
use crate::names::Names;
use crate::place::Place;
use crate::product;
use crate::raw::{self, Raw};
use crate::report::{Echo, Line, Report};
use crate::reviewer;
use crate::rewrap;
use crate::row::{Measured, Part, ROWS, Row, Work, measure};
use crate::scripts::{Login, Mirror, Read, Script, Turn, Update, Validate};
use crate::served::{Served, Start};
use crate::settings::{BULK, Settings};
use crate::walk::Walk;

/// Connections that open the keys of the warm rows.
const OPENERS: usize = 4;
/// Longest time that may take; opened keys live 60 seconds.
const OPEN_MAX: Duration = Duration::from_secs(15);
/// Starts on an empty directory.
const EMPTY_STARTS: usize = 3;

/// Measures everything.
///
/// # Errors
/// When something cannot be started, is lost or answers wrongly; never because it is slow.
pub(crate) async fn run(settings: &Settings) -> Result<Report, String> {
    let binary = product::binary(settings)?;
    let cores = if settings.pin { Cores::take()? } else { None };
    let place = Place::open(settings)?;
    let mut report = Report::new(settings, cores.is_some(), place.directory())?;
    let (data_dir, log) = (place.server(), place.log());
    let start = Start { binary: &binary, data_dir: &data_dir, log: &log, key_cache: true, cores };
    for _ in 0..if settings.smoke { 1 } else { EMPTY_STARTS } {
        start_on_empty(&place, start, &mut report).await?;
    }
    let names = Arc::new(Names::new(settings.secrets));
    let (actor, reviewer) = prepare(&place, start, &names, &mut report).await?;
    let echo = Served::echo(&data_dir, cores).await?;
    let echoes = BTreeMap::new();
    let mut bench = Bench { settings, place: &place, names, actor, echo, echoes, report };
    bench.warm_rows(start).await?;
    for row in ROWS.iter().filter(|row| !row.warm) {
        // A server of its own, so that nothing was read before.
        let server = Served::server(Start { key_cache: false, ..start }).await?;
        bench.report.started_again.push(server.ready_after);
        bench.row(row, &server).await?;
        server.stop()?;
    }
    // Last: afterwards every value has another wrap.
    let server = Served::server(start).await?;
    let rewrapped = rewrap::measure(&server, &data_dir).await?;
    note(rewrapped.sentence().trim_end());
    bench.report.rewrapped = Some(rewrapped);
    server.stop()?;
    // It ends with its input.
    drop(reviewer);
    Ok(bench.report)
}

async fn start_on_empty(
    place: &Place,
    start: Start<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let empty = place.empty()?;
    let server = Served::server(Start { data_dir: &empty, ..start }).await?;
    report.started_empty.push(server.ready_after);
    report.memory_empty = server.memory()?;
    server.stop()?;
    place.empty().map(|_| ())
}

/// Fills the store with what it lacks, and makes who reads it and the cluster that knows them.
async fn prepare(
    place: &Place,
    start: Start<'_>,
    names: &Arc<Names>,
    report: &mut Report,
) -> Result<(Actor, Served), String> {
    let server = Served::server(start).await?;
    let loaded = place.loaded();
    if loaded > 0 {
        report.started_again.push(server.ready_after);
    }
    let run = run_number();
    let mut actor = Actor::create(&server.endpoint, start.data_dir, run).await?;
    let reviewer = Served::reviewer(start.data_dir).await?;
    actor.join_cluster(&server.endpoint, start.data_dir, run, &reviewer.endpoint).await?;
    if loaded < names.count() {
        load(&server.endpoint, &actor, names, loaded).await?;
        place.note_loaded(names.count())?;
    }
    server.stop()?;
    Ok((actor, reviewer))
}

/// A number that no earlier run had.
pub(crate) fn run_number() -> u64 {
    u64::try_from(SystemClock.now().0).unwrap_or_default()
}

/// What measures rows, and what it measures them with.
pub(crate) struct Bench<'a> {
    /// How long, and how much.
    pub(crate) settings: &'a Settings,
    /// Where files are.
    pub(crate) place: &'a Place,
    /// The secrets.
    pub(crate) names: Arc<Names>,
    /// Who reads and writes them.
    pub(crate) actor: Actor,
    /// The echo.
    pub(crate) echo: Served,
    /// What the echo needed, by connections and bytes of the body.
    pub(crate) echoes: BTreeMap<(u32, u64), Measured>,
    /// Where the rows go.
    pub(crate) report: Report,
}

/// What the scripts of a row are made from.
struct Scripts<'a> {
    bench: &'a Bench<'a>,
    row: &'a Row,
    token: String,
}

impl Bench<'_> {
    async fn warm_rows(&mut self, start: Start<'_>) -> Result<(), String> {
        let server = Served::server(start).await?;
        self.report.started_again.push(server.ready_after);
        self.report.memory_idle = server.memory()?;
        for row in ROWS.iter().filter(|row| row.warm) {
            if matches!(row.work, Work::Get(_)) {
                self.open_keys(&server).await?;
            }
            self.row(row, &server).await?;
        }
        self.report.memory_after = server.memory()?;
        server.stop()
    }

    /// Has the gateway open the keys that the warm rows use.
    pub(crate) async fn open_keys(&self, server: &Served) -> Result<(), String> {
        let token = self.actor.login(&server.endpoint).await?;
        let walk = Walk::one_round(self.settings.warm_names, self.names.count(), BULK);
        let walk = Arc::new(walk);
        let script = || Read::new(&token, self.names.clone(), walk.clone(), BULK);
        let scripts = (0..OPENERS).map(|_| Box::new(script()) as Box<dyn Script>).collect();
        Fleet::connect(&server.endpoint, OPENERS).await?.run(scripts, OPEN_MAX).await?;
        if walk.left() > 0 {
            return Err("opening the keys takes too long; use fewer --warm-names".to_owned());
        }
        Ok(())
    }

    /// Measures a row beside the echo, and reads back what it wrote.
    pub(crate) async fn row(&mut self, row: &Row, server: &Served) -> Result<(), String> {
        let raw = self.raw(row)?;
        let token = self.actor.login(&server.endpoint).await?;
        let scripts = Scripts { bench: self, row, token: token.clone() };
        let request_bytes = scripts.request_bytes();
        let measuring = measure(server, row.connections, self.settings, |part| scripts.all(part));
        let (mut measured, done) = measuring.await.map_err(|error| row.named(&error))?;
        let written: Vec<_> = done.iter().flat_map(|script| script.written()).collect();
        measured.checked += verify(server, &token, &self.names, &written).await?;
        let echo = self.echo(row, u64::midpoint(request_bytes, measured.answer_bytes)).await?;
        let line = Line { row: *row, measured, echo, raw };
        note(&line.progress());
        self.report.lines.push(line);
        Ok(())
    }

    /// What the disk can do with as many records in a group as the row has connections.
    fn raw(&mut self, row: &Row) -> Result<Option<f64>, String> {
        if row.work != Work::Update {
            return Ok(None);
        }
        let group = usize::try_from(row.connections).map_err(|error| error.to_string())?;
        let raw: Raw = raw::measure(self.place.directory(), group, self.settings.seconds)?;
        let rate = raw.records_per_second();
        self.report.raws.push(raw);
        Ok(Some(rate))
    }

    /// What the echo needs for as many bytes as go in and out in the row.
    async fn echo(&mut self, row: &Row, body_bytes: u64) -> Result<Measured, String> {
        let key = (row.connections, body_bytes);
        if let Some(known) = self.echoes.get(&key) {
            return Ok(known.clone());
        }
        let length = usize::try_from(body_bytes).map_err(|error| error.to_string())?;
        let mirrors = |_: Part| {
            let mirror = || Box::new(Mirror::new(length)) as Box<dyn Script>;
            (0..row.connections).map(|_| mirror()).collect()
        };
        let (measured, _) = measure(&self.echo, row.connections, self.settings, mirrors).await?;
        let echo = Echo { connections: row.connections, body_bytes, measured: measured.clone() };
        self.report.echoes.push(echo);
        self.echoes.insert(key, measured.clone());
        Ok(measured)
    }
}

impl Scripts<'_> {
    /// A script for each connection.
    fn all(&self, part: Part) -> Vec<Box<dyn Script>> {
        let of = self.row.connections;
        match self.row.work {
            Work::Get(count) => {
                let walk = Arc::new(self.walk(part));
                (0..of).map(|_| Box::new(self.read(walk.clone(), count)) as Box<_>).collect()
            }
            Work::Update => {
                let run = run_number();
                let update = |number| self.update(Turn { number, of }, run);
                (0..of).map(|number| Box::new(update(number)) as Box<_>).collect()
            }
            Work::Login => (0..of).map(|_| Box::new(self.login()) as Box<_>).collect(),
            Work::TokenLogin(token) => {
                (0..of).map(|_| Box::new(self.token_login(token)) as Box<_>).collect()
            }
            Work::ClusterLogin => {
                (0..of).map(|_| Box::new(self.cluster_login()) as Box<_>).collect()
            }
            Work::Validate => {
                (0..of).map(|_| Box::new(Validate::new(&self.token)) as Box<_>).collect()
            }
        }
    }

    /// A cold row reads no secret twice: a tenth of them is for the warm-up.
    fn walk(&self, part: Part) -> Walk {
        let secrets = self.bench.names.count();
        match part {
            _ if self.row.warm => Walk::around(self.bench.settings.warm_names, secrets),
            Part::WarmUp => Walk::once(0..secrets / 10, secrets),
            Part::Counted => Walk::once(secrets / 10..secrets, secrets),
        }
    }

    fn read(&self, walk: Arc<Walk>, count: u32) -> Read {
        Read::new(&self.token, self.bench.names.clone(), walk, count)
    }

    fn update(&self, turn: Turn, run: u64) -> Update {
        Update::new(&self.token, self.bench.names.clone(), turn, run)
    }

    fn login(&self) -> Login {
        let actor = &self.bench.actor;
        Login::new(&actor.access_id, actor.access_key.expose())
    }

    fn token_login(&self, token: &str) -> Login {
        Login::with_token(&self.bench.actor.token_access_id, token)
    }

    fn cluster_login(&self) -> Login {
        let actor = &self.bench.actor;
        Login::with_cluster(&actor.cluster_access_id, &actor.cluster, reviewer::TOKEN)
    }

    fn request_bytes(&self) -> u64 {
        let bytes = match self.row.work {
            Work::Get(count) => self.read(Arc::new(Walk::in_order(0..0)), count).body_bytes(),
            Work::Update => self.update(Turn { number: 0, of: 1 }, 0).body_bytes(),
            Work::Login => self.login().body_bytes(),
            Work::TokenLogin(token) => self.token_login(token).body_bytes(),
            Work::ClusterLogin => self.cluster_login().body_bytes(),
            Work::Validate => Validate::new(&self.token).body_bytes(),
        };
        u64::try_from(bytes).unwrap_or_default()
    }
}

/// Reads back what was written; returns how many values that were.
async fn verify(
    server: &Served,
    token: &str,
    names: &Names,
    written: &[(u32, String)],
) -> Result<u64, String> {
    let mut calls = Calls::new(&server.endpoint, token).await?;
    let mut checked = 0;
    for some in written.chunks(100) {
        let asked: Vec<_> = some.iter().map(|(index, _)| names.of(*index)).collect();
        let values = calls.call("get-secret-value", json!({ "names": asked })).await?;
        for (index, value) in some {
            let name = names.of(*index);
            if values[name].as_str() != Some(value.as_str()) {
                return Err(format!("{name} does not have the value that was acknowledged last"));
            }
            checked += 1;
        }
    }
    Ok(checked)
}

impl Row {
    fn named(&self, error: &str) -> String {
        format!("{} {} with {} connections: {error}", self.id, self.title, self.connections)
    }
}
