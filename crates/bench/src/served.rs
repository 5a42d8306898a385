//! A server, the echo, or several roles together, running and answering.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::connection::Endpoint;
use crate::cores::Cores;
use crate::machine::Memory;
use crate::process::Process;

/// Longest time from its URL to the first healthy answer.
const HEALTHY_MAX: Duration = Duration::from_secs(60);
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What runs, and how it is reached.
pub(crate) struct Served {
    /// The processes; the one that clients connect to is the first.
    pub(crate) processes: Vec<Process>,
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
    /// CPU time so far of each process.
    ///
    /// # Errors
    /// When one has ended.
    pub(crate) fn cpu_times(&self) -> Result<Vec<Duration>, String> {
        self.processes.iter().map(Process::cpu_time).collect()
    }

    /// Memory of the process that clients connect to.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn memory(&self) -> Result<Memory, String> {
        self.processes.first().ok_or("no process")?.memory()
    }

    /// Stops all, the one that clients connect to first.
    ///
    /// # Errors
    /// When one does not end well.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.processes.into_iter().try_for_each(Process::stop)
    }

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
        // A database of the bench is on this machine.
        command.arg("--allow-local-targets");
        if !start.key_cache {
            command.args(["--key-cache-seconds", "0"]);
        }
        forget_settings(&mut command);
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
        Self::myself("echo", data_dir, cores).await
    }

    /// Starts the cluster of the bench, with the certificate of the server in `data_dir`. It has
    /// no core of its own.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn reviewer(data_dir: &Path) -> Result<Self, String> {
        Self::myself("reviewer", data_dir, None).await
    }

    /// Starts a hidden command of this very program that serves.
    async fn myself(name: &str, data_dir: &Path, cores: Option<Cores>) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("no path to myself: {error}"))?;
        let tls = data_dir.join("tls");
        let mut command = Command::new(own);
        command.args([name, "--certificate"]).arg(tls.join("server.pem"));
        command.arg("--key").arg(tls.join("server.key"));
        command.stderr(Stdio::inherit());
        begin(name, &mut command, &tls.join("ca.pem"), cores).await
    }
}

/// Keeps settings in the environment of whoever runs the bench from the process.
pub(crate) fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEYSHERD_") {
            command.env_remove(name);
        }
    }
}

async fn begin(
    name: &str,
    command: &mut Command,
    ca_file: &Path,
    cores: Option<Cores>,
) -> Result<Served, String> {
    let begin = Instant::now();
    let (process, text) = Process::start(name, command, cores, "https://")?;
    let endpoint = Endpoint::new(url_in(&text)?, ca_file)?;
    wait_until_healthy(name, &endpoint).await?;
    Ok(Served { processes: vec![process], endpoint, ready_after: begin.elapsed() })
}

/// The URL in what a process announced.
///
/// # Errors
/// When there is none.
pub(crate) fn url_in(text: &str) -> Result<&str, String> {
    let url = text.split_whitespace().find(|word| word.starts_with("https://"));
    url.ok_or_else(|| format!("no URL in '{text}'"))
}

/// Asks until the answer is that all is well.
///
/// # Errors
/// When that takes too long; the text has the last answer.
pub(crate) async fn wait_until_healthy(name: &str, endpoint: &Endpoint) -> Result<(), String> {
    let begin = Instant::now();
    let mut last = String::new();
    while begin.elapsed() < HEALTHY_MAX {
        match healthy(endpoint).await {
            Ok(()) => return Ok(()),
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

/// The last lines of a log.
pub(crate) fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
