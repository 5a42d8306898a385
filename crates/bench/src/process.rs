//! A child process that announces on its standard output where it listens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;
use crate::machine::{self, Memory};

/// Longest time until a process says where it listens: a debug build on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);
/// Longest time from SIGTERM to the end.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How often a process is asked whether it ended.
const POLL: Duration = Duration::from_millis(5);

/// A running process, killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command` and waits for its announcement: what it prints up to the first line with
    /// `last` in it.
    ///
    /// # Errors
    /// When it cannot be started, ends, or says nothing in time.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        cores: Option<Cores>,
        last: &'static str,
    ) -> Result<(Self, String), String> {
        // The echo ends with its standard input, so that it never outlives the bench.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = match cores {
            Some(cores) => cores.for_server(|| command.spawn())?,
            None => command.spawn(),
        };
        let mut child = spawned.map_err(|error| format!("cannot start the {name}: {error}"))?;
        let stdout = child.stdout.take();
        let process = Self { child, name: name.to_owned() };
        let text = announced(stdout.ok_or("a process without output")?, last);
        let silent = |_| format!("the {name} did not say where it listens; see its log");
        Ok((process, text.recv_timeout(START_MAX).map_err(silent)?))
    }

    /// What it was called at its start.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// CPU time so far, with all threads.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        machine::cpu_time(self.child.id()).map_err(|error| format!("{}: {error}", self.name))
    }

    /// Its memory.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn memory(&self) -> Result<Memory, String> {
        machine::memory(self.child.id()).map_err(|error| format!("{}: {error}", self.name))
    }

    /// Asks it to end, and checks that it does so with exit code 0.
    ///
    /// # Errors
    /// When it ends otherwise, or not in time.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("a process without an id")?;
        let name = self.name.clone();
        let failed = |error: String| format!("cannot stop the {name}: {error}");
        kill_process(pid, Signal::TERM).map_err(|error| failed(error.to_string()))?;
        let begin = Instant::now();
        while begin.elapsed() < STOP_MAX {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(failed(status.to_string())),
                Ok(None) => std::thread::park_timeout(POLL),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        Err(failed(format!("it did not end within {} s", STOP_MAX.as_secs())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ended = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// Reads all of the output, so that the process never waits for a reader; the lines up to the
/// first with `last` in it are sent back.
fn announced(output: ChildStdout, last: &'static str) -> Receiver<String> {
    let (found, text) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut announcement = String::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            announcement.push_str(&line);
            announcement.push('\n');
            if line.contains(last) {
                // Only the first finds room or a receiver.
                let _later = found.try_send(std::mem::take(&mut announcement));
            }
        }
    });
    text
}
