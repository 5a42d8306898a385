//! A machine made up for one test: its home directory, environment, clock and streams.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use keysherd_base::{ManualClock, Secret, Timestamp};
use tempfile::TempDir;

use super::specs;
use crate::{Program, Terminal, run};

/// The machine.
pub(super) struct Machine {
    home: TempDir,
    env: BTreeMap<String, String>,
    pub(super) clock: ManualClock,
    pub(super) stdin: String,
    pub(super) stdin_is_terminal: bool,
    pub(super) stdout_is_terminal: bool,
    pub(super) stderr_is_terminal: bool,
    /// What the person types at each hidden prompt.
    pub(super) typed: Vec<&'static str>,
}

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

impl Outcome {
    /// The output of a run that worked.
    pub(super) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// 2026-01-05T10:11:12Z.
pub(super) const NOW: Timestamp = Timestamp(1_767_607_872_000);

impl Machine {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let env = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        Self {
            home,
            env,
            clock: ManualClock::new(NOW),
            stdin: String::new(),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            typed: Vec::new(),
        }
    }

    /// A machine with a token in its environment, for tests that are not about logging in.
    pub(super) fn with_token(url: &str) -> Self {
        let mut machine = Self::new();
        machine.set("KEYSHERD_URL", url);
        machine.set("KEYSHERD_TOKEN", "t-env");
        machine
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// A path below the home directory.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// Writes a file below the home directory.
    pub(super) fn write(&self, below: &str, text: &str) -> String {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs `keysherd` with these arguments.
    pub(super) fn run(&mut self, arguments: &[&str]) -> Outcome {
        let mut out = Vec::new();
        let (code, err) = self.run_into(arguments, &mut out);
        Outcome { code, out: String::from_utf8(out).unwrap(), err }
    }

    /// The same with a standard output of the test's choice.
    pub(super) fn run_into(&mut self, arguments: &[&str], out: &mut dyn Write) -> (u8, String) {
        let mut err = Vec::new();
        let code = self.run_with(arguments, out, &mut err);
        (code, String::from_utf8(err).unwrap())
    }

    /// The same with a standard error of the test's choice, too.
    pub(super) fn run_with(
        &mut self,
        arguments: &[&str],
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> u8 {
        let program = Program {
            name: "keysherd",
            version: "1.2.3",
            summary: "a program for tests.",
            specs: specs::ALL,
            roles: &[("server", "Runs everything on this machine.")],
            waits: &[("create-", "somebody slow")],
        };
        let mut typed = std::mem::take(&mut self.typed).into_iter();
        let mut prompt = |_: &str| match typed.next() {
            Some(text) => Ok(Secret::new(text.to_owned())),
            None => Err(io::Error::other("nobody is there to type")),
        };
        let mut terminal = Terminal {
            stdin: &mut self.stdin.as_bytes(),
            stdout: out,
            stderr: err,
            stdin_is_terminal: self.stdin_is_terminal,
            stdout_is_terminal: self.stdout_is_terminal,
            stderr_is_terminal: self.stderr_is_terminal,
            width: Some(100),
            prompt: &mut prompt,
        };
        let arguments =
            std::iter::once("keysherd").chain(arguments.iter().copied()).map(OsString::from);
        let env = |name: &str| self.env.get(name).cloned();
        run(&program, arguments, &env, &self.clock, &mut terminal)
    }
}
