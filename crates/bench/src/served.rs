//! A server or the echo, running and answering.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::connection::Endpoint;
use crate::cores::Cores;
use crate::process::Process;

/// Longest time from its URL to the first healthy answer.
const HEALTHY_MAX: Duration = Duration::from_secs(60);
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Settings that must not come from the environment of whoever runs the bench.
const VARIABLES: &[&str] = &[
    "KEYSHERD_CONFIG",
    "KEYSHERD_DATA_DIR",
    "KEYSHERD_LISTEN",
    "KEYSHERD_KEY_CACHE_SECONDS",
    "KEYSHERD_LOG",
    "KEYSHERD_LOG_JSON",
];

/// What runs, and how it is reached.
pub(crate) struct Served {
    /// The process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) endpoint: Endpoint,
    /// From its start to its first healthy answer.
    pub(crate) ready_after: Duration,
}

/// How a server is started.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// The binary.
    pub(crate) binary: &'a Path,
    /// The data directory.
    pub(crate) data_dir: &'a Path,
    /// Where its log goes; it is appended to.
    pub(crate) log: &'a Path,
    /// Whether opened keys stay in memory.
    pub(crate) key_cache: bool,
    /// The cores.
    pub(crate) cores: Option<Cores>,
}

impl Served {
    /// Starts a server and waits until it is healthy.
    ///
    /// # Errors
    /// When it does not get there; its log says why.
    pub(crate) async fn server(start: Start<'_>) -> Result<Self, String> {
        let log = OpenOptions::new().create(true).append(true).open(start.log);
        let log = log.map_err(|error| format!("{}: {error}", start.log.display()))?;
        let mut command = Command::new(start.binary);
        command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(start.data_dir);
        // As fast as it can; the row that needs it measures that.
        command.args(["--rewraps-per-second", "100000"]);
        if !start.key_cache {
            command.args(["--key-cache-seconds", "0"]);
        }
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.stderr(log);
        let ca_file = start.data_dir.join("tls/ca.pem");
        begin("server", &mut command, &ca_file, start.cores)
            .await
            .map_err(|error| format!("{error}\n{}", end_of(start.log)))
    }

    /// Starts the echo, with the certificate of the server in `data_dir`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn echo(data_dir: &Path, cores: Option<Cores>) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("no path to myself: {error}"))?;
        let tls = data_dir.join("tls");
        let mut command = Command::new(own);
        command.args(["echo", "--certificate"]).arg(tls.join("server.pem"));
        command.arg("--key").arg(tls.join("server.key"));
        command.stderr(Stdio::inherit());
        begin("echo", &mut command, &tls.join("ca.pem"), cores).await
    }
}

async fn begin(
    name: &str,
    command: &mut Command,
    ca_file: &Path,
    cores: Option<Cores>,
) -> Result<Served, String> {
    let begin = Instant::now();
    let (process, url) = Process::start(name, command, cores)?;
    let endpoint = Endpoint::new(&url, ca_file)?;
    let mut last = String::new();
    while begin.elapsed() < HEALTHY_MAX {
        match healthy(&endpoint).await {
            Ok(()) => return Ok(Served { process, endpoint, ready_after: begin.elapsed() }),
            Err(error) => last = error,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("the {name} does not get healthy: {last}"))
}

async fn healthy(endpoint: &Endpoint) -> Result<(), String> {
    let mut connection = endpoint.connect().await?;
    match connection.call(HEALTH).await?.status {
        200 => Ok(()),
        status => Err(format!("/health answers with {status}")),
    }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
