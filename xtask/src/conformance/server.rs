//! A server of its own for one suite: started on a free port, stopped with SIGTERM.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::console::say;
use crate::product::Product;
use crate::{process, root};

/// Longest time until the server answers, in seconds; a debug build on a busy machine.
const START_SECONDS_MAX: u64 = 600;
/// Longest time from SIGTERM to the end, in seconds.
const STOP_SECONDS_MAX: u64 = 300;
/// Lines of the server's log that are shown when something went wrong.
const LOG_LINES_SHOWN: usize = 40;
/// How often a process is asked whether it ended.
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub(super) struct Server {
    child: Child,
    directory: PathBuf,
    bootstrap: PathBuf,
    ca_file: PathBuf,
}

impl Server {
    /// Starts the server with a new data directory, and waits until `/health` answers. Then it is
    /// started again with what its gateway signs in with, so that there is a gateway cluster.
    /// `scripts` is the directory of `ready.py`.
    ///
    /// # Errors
    /// When it does not start; the text has the end of its log.
    pub(super) fn start(product: &Product, scripts: &Path) -> Result<Self, String> {
        let directory = new_directory()?;
        let mut first = Self::launch(product, scripts, directory.clone(), &[])?;
        let key_file = directory.join("gateway-access-key");
        let made = process::read(
            Command::new("python3")
                .arg(scripts.join("gateway_identity.py"))
                .arg(&first.bootstrap)
                .arg(&key_file),
        );
        let access_id = made.map_err(|error| format!("{error}\n{}", first.log_end()))?;
        first.terminate().map_err(|error| format!("{error}\n{}", first.log_end()))?;
        let key_file = key_file.display().to_string();
        let identity = ["--gateway-access-id", access_id.trim(), "--cluster-name", "conformance"];
        let arguments = [&identity[..], &["--gateway-access-key-file", &key_file]].concat();
        Self::launch(product, scripts, directory, &arguments)
    }

    fn launch(
        product: &Product,
        scripts: &Path,
        directory: PathBuf,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let data = directory.join("data");
        let log = log_file(&directory)?;
        let errors = log.try_clone().map_err(|error| format!("server.log: {error}"))?;
        let child = Command::new(product.binary())
            .args(["server", "--listen", "127.0.0.1:0"])
            .args(["--allow-private-receivers", "--allow-local-targets", "--data-dir"])
            .arg(&data)
            .args(arguments)
            .env_remove("KEYSHERD_CONFIG")
            .env_remove("KEYSHERD_DATA_DIR")
            .env_remove("KEYSHERD_LISTEN")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let bootstrap = data.join("bootstrap.json");
        let mut server = Self { child, directory, bootstrap, ca_file: PathBuf::new() };
        let result =
            server.wait_until_ready(&scripts.join("ready.py")).and_then(|()| server.read_ca_file());
        match result {
            Ok(path) => server.ca_file = path,
            Err(error) => return Err(format!("{error}\n{}", server.log_end())),
        }
        Ok(server)
    }

    /// The directory with the data, the log and what the suite adds.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that says how to reach the server.
    pub(super) fn bootstrap(&self) -> &Path {
        &self.bootstrap
    }

    /// The certificate authority of the server.
    pub(super) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Asks the server to end, and checks that it does so with exit code 0. Its directory is
    /// removed unless `keep`.
    ///
    /// # Errors
    /// When it ends otherwise, or not in time.
    pub(super) fn stop(mut self, keep: bool) -> Result<(), String> {
        let ended = self.terminate();
        if keep || ended.is_err() {
            say(&format!("the server's files are in {}", self.directory.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        ended.map_err(|error| format!("{error}\n{}", self.log_end()))
    }

    fn terminate(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server ended by itself: {status}"));
        }
        let signal = format!("kill -TERM {}", self.child.id());
        process::run(Command::new("sh").args(["-c", &signal]))?;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(STOP_SECONDS_MAX) {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("after SIGTERM the server: {status}")),
                Ok(None) => std::thread::park_timeout(POLL),
                Err(error) => return Err(format!("the server: {error}")),
            }
        }
        Err(format!("the server did not end {STOP_SECONDS_MAX} s after SIGTERM"))
    }

    /// Runs `ready`, which polls `/health`, and watches that the server lives meanwhile.
    fn wait_until_ready(&mut self, ready: &Path) -> Result<(), String> {
        let mut waiting = Command::new("python3")
            .arg(ready)
            .arg(&self.bootstrap)
            .arg(START_SECONDS_MAX.to_string())
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start python3: {error}"))?;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let _ = waiting.kill();
                let _ = waiting.wait();
                return Err(format!("the server ended before it was ready: {status}"));
            }
            match waiting.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(_)) => return Err("the server did not get ready".to_owned()),
                Ok(None) => std::thread::park_timeout(POLL),
                Err(error) => return Err(format!("ready.py: {error}")),
            }
        }
    }

    fn read_ca_file(&self) -> Result<PathBuf, String> {
        let text = root::read(&self.bootstrap)?;
        let bootstrap: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let path = bootstrap["ca_file"].as_str().ok_or("bootstrap.json has no ca_file")?;
        Ok(PathBuf::from(path))
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.directory.join("server.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        format!("the end of the server's log:\n{}", lines[from..].join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn new_directory() -> Result<PathBuf, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("keysherd-conformance-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    Ok(directory)
}

fn log_file(directory: &Path) -> Result<File, String> {
    File::create(directory.join("server.log")).map_err(|error| format!("server.log: {error}"))
}
