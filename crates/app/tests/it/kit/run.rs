//! Running the binary to its end.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::poll::wait_for;

/// The binary under test.
pub(crate) const KEYSHERD: &str = env!("CARGO_BIN_EXE_keysherd");

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; 128 and the signal's number for a process that was killed.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Finished {
    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}

/// The binary with an environment of its own: nothing of whoever runs the tests reaches it. What
/// receives logs is on this machine in tests.
pub(crate) fn keysherd(home: &Path) -> Command {
    let mut command = Command::new(KEYSHERD);
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    command.env("KEYSHERD_ALLOW_PRIVATE_RECEIVERS", "true");
    command.env("KEYSHERD_ALLOW_LOCAL_TARGETS", "true");
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// Runs the binary with these arguments.
pub(crate) fn run<S: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = S>) -> Finished {
    finish(keysherd(home).args(args), b"")
}

/// Runs a command to its end; `input` is its standard input.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Finished {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut running = Running(child);
    let Running(child) = &mut running;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Whoever does not read its input closes it, which is no failure.
    let fed = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let code = exit_code(child, &shown);
    fed.join().unwrap();
    Finished { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// A child that does not outlive whoever waits for it in vain.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has most likely ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the end of a child.
pub(crate) fn exit_code(child: &mut Child, shown: &str) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let status = wait_for(&format!("the end of {shown}"), || child.try_wait().unwrap());
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut stream = stream.unwrap();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What a killed process leaves behind counts as well.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
