//! Calls between roles: an echo over the link crate, both ends in this process, each with a
//! runtime of its own. The hidden command `link`; its rows are one for each number of callers and
//! size, and one for connections that are made anew for every call.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use hdrhistogram::Histogram;
use keysherd_base::{Fault, SecretBytes, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_link::{
    CallLimits, Channel, ChannelLimits, Identity, KeySet, Limits, LinkListener, Peer, Route,
    Service, Services, Serving, routes,
};
use keysherd_plane::BoxFuture;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{console, machine};

/// Callers at a time, and bytes in each direction: a derivation of one item, and of 1,000.
const CALLS: &[(u32, usize)] = &[(1, 200), (16, 200), (128, 200), (1, 96_000), (16, 96_000)];

/// The hidden command.
pub(crate) fn command() -> Command {
    let seconds = Arg::new("seconds").long("seconds").value_parser(value_parser!(f64));
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    Command::new("link").hide(true).args([seconds.default_value("3"), json])
}

/// Measures and prints.
///
/// # Errors
/// When a call fails.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), String> {
    let seconds = flags.get_one::<f64>("seconds").copied().unwrap_or_default();
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    let ends = Ends::start()?;
    let mut rows = Vec::new();
    for (callers, bytes) in CALLS {
        let _warm_up = ends.measure(*callers, *bytes, time / 10, Connect::Once)?;
        rows.push(ends.measure(*callers, *bytes, time, Connect::Once)?);
    }
    rows.push(ends.measure(1, 200, time, Connect::EachTime)?);
    if flags.get_flag("json") {
        console::say(&json!({ "rows": rows }).to_string());
        return Ok(());
    }
    for row in rows {
        console::say(&format!(
            "{}, {} callers, {} bytes: {} a second, {} us p50, {} us p99, {} us CPU of both ends",
            row["title"].as_str().unwrap_or_default(),
            row["callers"],
            row["bytes"],
            row["per_second"],
            row["p50_us"],
            row["p99_us"],
            row["cpu_us"],
        ));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connect {
    Once,
    EachTime,
}

struct Echo;

impl Service for Echo {
    fn call(&self, _: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move { Ok(request) })
    }
}

/// A listener and a caller.
struct Ends {
    _server: Runtime,
    client: Runtime,
    channel: Channel,
}

impl Ends {
    fn start() -> Result<Self, String> {
        let runtime = || {
            let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
            built.map_err(|error| error.to_string())
        };
        let (server, client) = (runtime()?, runtime()?);
        let (ours, theirs) = (identity("gateway")?, identity("manager")?);
        let keys = |identity: &Identity| Arc::new(KeySet::new([identity.spki_sha256()]));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = server.block_on(LinkListener::bind(any, Limits::default()));
        let listener = listener.map_err(|fault| fault.to_string())?;
        let route = Route::direct(listener.address().to_string());
        let channel =
            Channel::new(ours.clone(), keys(&theirs), vec![route], ChannelLimits::default());
        let services = Services::new().with(routes::MANAGER, Arc::new(Echo));
        let serving = Serving::new(theirs, keys(&ours), services);
        server.spawn(listener.serve(serving, std::future::pending()));
        Ok(Self { _server: server, client, channel })
    }

    fn measure(
        &self,
        callers: u32,
        bytes: usize,
        time: Duration,
        connect: Connect,
    ) -> Result<Value, String> {
        let own = std::process::id();
        let before = machine::cpu_time(own)?;
        let begin = Instant::now();
        let until = begin + time;
        let tasks: Vec<_> = (0..callers)
            .map(|_| self.client.spawn(calls(self.channel.clone(), bytes, until, connect)))
            .collect();
        let mut latency = histogram()?;
        for task in tasks {
            let one = self.client.block_on(task).map_err(|error| error.to_string())??;
            latency.add(one).map_err(|error| error.to_string())?;
        }
        let elapsed = begin.elapsed();
        let cpu = machine::cpu_time(own)?.saturating_sub(before);
        let count = u32::try_from(latency.len()).unwrap_or(u32::MAX);
        let micros = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6;
        let title = if connect == Connect::Once { "link call" } else { "link connect and call" };
        Ok(json!({
            "title": title,
            "callers": callers,
            "bytes": bytes,
            "calls": count,
            "per_second": (f64::from(count) / elapsed.as_secs_f64() * 100.0).round() / 100.0,
            "p50_us": micros(latency.value_at_quantile(0.5)).round(),
            "p99_us": micros(latency.value_at_quantile(0.99)).round(),
            "cpu_us": (cpu.as_secs_f64() * 1e6 / f64::from(count.max(1))).round(),
        }))
    }
}

fn identity(name: &str) -> Result<Identity, String> {
    let key = SigningKey::generate(&SystemRng).map_err(|error| error.to_string())?;
    let identity = Identity::new(&key, name, Arc::new(SystemClock), SystemRng::handle());
    identity.map_err(|fault| fault.to_string())
}

fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new(3).map_err(|error| error.to_string())
}

async fn calls(
    channel: Channel,
    bytes: usize,
    until: Instant,
    connect: Connect,
) -> Result<Histogram<u64>, String> {
    let mut latency = histogram()?;
    loop {
        if connect == Connect::EachTime {
            channel.disconnect();
        }
        let begin = Instant::now();
        let request = SecretBytes::new(vec![7; bytes]);
        let answer = channel.call(routes::MANAGER, request, CallLimits::default()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.expose().len() != bytes {
            return Err("the echo answered something else".to_owned());
        }
        let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        latency.record(took).map_err(|error| error.to_string())?;
        if Instant::now() >= until {
            return Ok(latency);
        }
    }
}
