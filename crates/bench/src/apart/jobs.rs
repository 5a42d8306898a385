//! Work over everything stored or over many keys: a rotation's re-wraps, generation, refreshes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::actor::Actor;
use crate::console::note;
use crate::generator::Fleet;
use crate::rewrap::{self, Rewrapped};
use crate::scripts::Script;
use crate::served::Served;
use crate::template::{Template, blank};
use crate::walk::Walk;

/// Connections that work on keys.
const CONNECTIONS: usize = 8;
/// Longest time for the work.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Work that was done to its end.
pub(super) struct Job {
    /// What it was.
    pub(super) title: &'static str,
    /// What it was done to.
    pub(super) items: u64,
    /// How long it took.
    pub(super) time: Duration,
    /// CPU time of each process, with its name.
    pub(super) cpu_of: Vec<(String, Duration)>,
}

impl Job {
    /// Items in a second.
    pub(super) fn per_second(&self) -> f64 {
        as_float(self.items) / self.time.as_secs_f64()
    }

    /// Microseconds of CPU time for one item.
    pub(super) fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / as_float(self.items)
    }

    /// The same of all processes.
    pub(super) fn cpu(&self) -> f64 {
        self.each(self.cpu_of.iter().map(|(_, time)| *time).sum())
    }
}

fn as_float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Does all of it.
///
/// # Errors
/// When something is refused, reports a problem, or does not end.
pub(super) async fn all(
    server: &Served,
    credentials: &Path,
    keys: u32,
) -> Result<Vec<Job>, String> {
    let Rewrapped { values, time, spent } = rewrap::measure(server, credentials).await?;
    let mut done = vec![job("re-wrap of values", values, time, spent, server)];
    if keys > 0 {
        let administrator = &Actor::administrator(credentials)?;
        let works = [("generation of keys", "create-dfc-key"), ("refresh of keys", "refresh-key")];
        for (title, command) in works {
            done.push(each(server, administrator, title, command, keys).await?);
        }
    }
    Ok(done)
}

/// Gives a command once for each of `keys` keys, on several connections.
async fn each(
    server: &Served,
    administrator: &Actor,
    title: &'static str,
    command: &'static str,
    keys: u32,
) -> Result<Job, String> {
    let token = administrator.login(&server.endpoint).await?;
    let walk = Arc::new(Walk::in_order(0..keys));
    let script = |_| Box::new(OfKey::new(command, &token, walk.clone())) as Box<dyn Script>;
    let scripts = (0..CONNECTIONS).map(script).collect();
    let mut fleet = Fleet::connect(&server.endpoint, CONNECTIONS).await?;
    let stopwatch = Stopwatch::start(server)?;
    fleet.run(scripts, TIME_MAX).await.map_err(|error| format!("{title}: {error}"))?;
    stopwatch.stop(title, keys.into(), server)
}

/// Names one key after the other in a command.
struct OfKey {
    template: Template,
    walk: Arc<Walk>,
}

impl OfKey {
    fn new(command: &str, token: &str, walk: Arc<Walk>) -> Self {
        let name = blank(key_name(0).len());
        let mut fields = json!({ "name": "", "token": token });
        if command == "create-dfc-key" {
            fields["alg"] = json!("AES256GCM");
        }
        // What stands for a name is a control character, which JSON would escape.
        let body = fields.to_string().replacen("\"name\":\"\"", &format!("\"name\":\"{name}\""), 1);
        Self { template: Template::post(&format!("/{command}"), &body), walk }
    }
}

impl Script for OfKey {
    fn next(&mut self) -> Option<&[u8]> {
        let index = self.walk.take(1)?.next()?;
        self.template.fill(0, &key_name(index));
        Some(self.template.bytes())
    }

    fn check(&self, _: &[u8]) -> Result<(), String> {
        // The status says it all.
        Ok(())
    }
}

fn key_name(index: u32) -> String {
    format!("/bench-keys/{index:08}")
}

/// Time and CPU time from its start on.
struct Stopwatch {
    begin: Instant,
    before: Vec<Duration>,
}

impl Stopwatch {
    fn start(server: &Served) -> Result<Self, String> {
        Ok(Self { begin: Instant::now(), before: server.cpu_times()? })
    }

    fn stop(self, title: &'static str, items: u64, server: &Served) -> Result<Job, String> {
        let time = self.begin.elapsed();
        let spent = server.cpu_times()?;
        let spent = spent.iter().zip(&self.before).map(|(now, then)| now.saturating_sub(*then));
        Ok(job(title, items, time, spent.collect(), server))
    }
}

/// `spent` is in the order of the server's processes.
fn job(
    title: &'static str,
    items: u64,
    time: Duration,
    spent: Vec<Duration>,
    server: &Served,
) -> Job {
    note(&format!("{title}: {items} in {:.1} s", time.as_secs_f64()));
    let names = server.processes.iter().map(|process| process.name().to_owned());
    Job { title, items, time, cpu_of: names.zip(spent).collect() }
}
