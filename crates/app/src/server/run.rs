//! The life of the server: open, announce, serve, drain.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keysherd_api::Ctx;
use keysherd_api::commands;
use keysherd_base::{ClockHandle, SystemClock};
use keysherd_control::checked_email;
use keysherd_crypto::random::SystemRng;
use keysherd_gateway::GatewayHost;
use keysherd_http::{Edge, Limits, Listener, Surroundings, Transport, Workers};
use keysherd_wire::Command;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::bootstrap::{self, Bootstrap};
use super::files::DataDir;
use super::roles::{self, Roles};
use super::{announce, tls};
use crate::config::account::AccountConfig;
use crate::config::server::{LISTEN_DEFAULT, ServerConfig};
use crate::exit::Exit;

/// How often chores are done.
const CHORES_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn run(config: ServerConfig) -> Result<(), Exit> {
    let mut stop = StopSignals::new()?;
    let clock: ClockHandle = Arc::new(SystemClock);
    let dir = DataDir::open(&config.data_dir)?;
    let limits =
        Limits { drain_timeout: Duration::from_secs(config.drain_seconds), ..Limits::default() };
    let listener = Listener::bind(config.listen, limits, Workers::default())
        .await
        .map_err(|fault| Exit::Listen(fault.to_string()))?;
    let address = listener.address();
    let tls_dir = dir.subdir("tls")?;
    let names = tls::names(address, &config.tls_names);
    let certificate = tls::open(&tls_dir, &names, &*clock, &*SystemRng::handle())?;
    let roles = Roles::open(&dir, config.key_cache_seconds).await?;
    let url = tls::url(address);
    let ca_file = tls_dir.join(tls::CA_FILE).display().to_string();
    let (bootstrap, first) = account(&roles, &dir, url, ca_file).await?;
    let ready = Arc::new(AtomicBool::new(true));
    let edge = edge(&roles, limits, ready.clone())?;
    let announcement = announce::text(&dir, bootstrap.as_ref(), &tls::url(address), first);
    write_stdout(&announcement);
    tracing::info!(%address, "ready");
    let chores =
        tokio::spawn(chores(roles.control.clone(), roles.managers.clone(), roles.clock.clone()));
    let shutdown = async move {
        stop.wait().await;
        ready.store(false, Ordering::Release);
        tracing::info!("draining");
    };
    let drained = listener.serve(Transport::Tls(certificate), edge, shutdown).await?;
    chores.abort();
    if drained.unfinished > 0 {
        tracing::warn!(unfinished = drained.unfinished, "some requests were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Creates a further account while the server is stopped.
pub(crate) async fn create_account(config: AccountConfig) -> Result<(), Exit> {
    checked_email(&config.owner_email)
        .map_err(|fault| Exit::Configuration(format!("--owner-email: {fault}")))?;
    // An installation made by a mistyped path would hold an account nobody serves.
    if !config.data_dir.join(roles::CONTROL).is_dir() {
        return Err(Exit::Files(format!(
            "there is no installation in {}; start the server once, or correct --data-dir",
            config.data_dir.display()
        )));
    }
    let dir = DataDir::open(&config.data_dir)?;
    let out = DataDir::open(&config.out_dir)?;
    let roles = Roles::open(&dir, 0).await?;
    bootstrap::finish(&roles, &out)?;
    for name in [bootstrap::BOOTSTRAP, bootstrap::OWNER_PASSWORD] {
        if out.read(name)?.is_some() {
            let file = out.join(name);
            return Err(Exit::Files(format!("{} exists; choose another --out", file.display())));
        }
    }
    let (url, ca_file) = match bootstrap::read(&dir)? {
        Some(first) => (first.url, first.ca_file),
        None => {
            let ca_file = dir.join("tls").join(tls::CA_FILE).display().to_string();
            (format!("https://{LISTEN_DEFAULT}"), ca_file)
        }
    };
    let email = Some(config.owner_email.as_str());
    let made = bootstrap::create_account(&roles, &out, email, url, ca_file).await?;
    let file = out.join(bootstrap::BOOTSTRAP);
    write_stdout(&format!("account {} created; see {}\n", made.account_id, file.display()));
    Ok(())
}

/// Finds the account of an earlier start, or makes it. The file is brought up to date with the
/// address of this start.
async fn account(
    roles: &Roles,
    dir: &DataDir,
    url: String,
    ca_file: String,
) -> Result<(Option<Bootstrap>, bool), Exit> {
    bootstrap::finish(roles, dir)?;
    if !roles.control.has_accounts()? {
        let made = bootstrap::create_account(roles, dir, None, url, ca_file).await?;
        return Ok((Some(made), true));
    }
    let Some(found) = bootstrap::read(dir)? else { return Ok((None, false)) };
    let current = Bootstrap { url, ca_file, ..found.clone() };
    if current.url != found.url || current.ca_file != found.ca_file {
        bootstrap::write(dir, &current)?;
    }
    Ok((Some(current), false))
}

fn edge(
    roles: &Roles,
    limits: Limits,
    ready: Arc<AtomicBool>,
) -> Result<Arc<Edge<GatewayHost>>, Exit> {
    // The registry lives as long as the process.
    let list: Vec<&'static Command<Ctx>> = commands::all().collect();
    let host = Arc::new(GatewayHost::new(roles.services.clone()));
    let status = roles.status();
    let surroundings = Surroundings {
        clock: roles.clock.clone(),
        rng: roles.rng.clone(),
        ready: Arc::new(move || ready.load(Ordering::Acquire)),
        status: Some(Arc::new(status)),
        trusted_proxy: Arc::new(|_| false),
        limits,
    };
    Ok(Edge::new(host, list.leak(), surroundings)?)
}

impl Roles {
    /// What `GET /status` says: nothing that helps an attacker, enough for an operator.
    fn status(&self) -> impl Fn() -> serde_json::Value + Send + Sync + 'static {
        let (managers, store) = (self.managers.clone(), self.store.clone());
        move || {
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "fragments": announce::TRUST_DOMAINS,
                "fragment_managers": managers.len(),
                "low_on_space": store.is_low_on_space(),
            })
        }
    }
}

/// What has to be done now and then: deletions that are due, keys that were never completed.
async fn chores(
    control: keysherd_control::Control,
    managers: Vec<Arc<keysherd_manager::Manager>>,
    clock: ClockHandle,
) {
    let mut turns = tokio::time::interval(CHORES_INTERVAL);
    loop {
        turns.tick().await;
        if let Err(fault) = control.purge_due(clock.now()).await {
            tracing::warn!(%fault, "deletions that are due did not take place");
        }
        for manager in &managers {
            let manager = manager.clone();
            let tidied = tokio::task::spawn_blocking(move || manager.tidy()).await;
            if let Ok(Err(fault)) = tidied {
                tracing::warn!(%fault, "a fragment manager could not tidy up");
            }
        }
    }
}

struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> Result<Self, Exit> {
        let listen = |kind| signal(kind).map_err(|error| Exit::Damaged(error.to_string()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A closed standard output is no reason to stop serving.
fn write_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
