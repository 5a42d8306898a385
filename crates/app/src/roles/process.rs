//! What every process of a role does: stops when it is told to, and tells its operator things.

use std::io::Write as _;

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
