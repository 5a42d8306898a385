//! What every process of a role does: stops when it is told to, and tells its operator things.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// The signals that end a role.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on. Needs a runtime.
    pub(crate) fn new() -> Result<Self, Exit> {
        let listen = |kind| signal(kind).map_err(|error| Exit::Damaged(error.to_string()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Prints. A closed standard output is no reason to stop serving.
pub(crate) fn write_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints, where it matters that somebody gets it.
///
/// # Errors
/// Standard output did not take all of it.
pub(crate) fn hand_out(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// The content of a file that somebody names; of standard input for `-`.
///
/// # Errors
/// Why it cannot be read; that it has more than `most` bytes.
pub(crate) fn given_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|count| count <= most) {
        return Ok(bytes);
    }
    Err(format!("it has more than {most} bytes"))
}

/// Tells something besides what is printed for programs.
pub(crate) fn write_stderr(text: &str) {
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The signal to look for new files.
pub(crate) struct Hangup(Signal);

impl Hangup {
    /// Listens from now on. Needs a runtime.
    pub(crate) fn new() -> Result<Self, Exit> {
        signal(SignalKind::hangup()).map(Self).map_err(|error| Exit::Damaged(error.to_string()))
    }

    /// Waits for SIGHUP.
    pub(crate) async fn wait(&mut self) {
        self.0.recv().await;
    }
}
