//! What is shown of a wait, to whom, and what stays of it: nothing.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};

use super::fake::Fake;
use super::harness::Machine;
use crate::program::WAITS;
use crate::{Program, Terminal};

const ARGUMENTS: &[&str] = &["create-secret", "-n", "/a\u{1b}[2J", "-v", "hunter2", "--no-warn"];

/// A screen that tells when it shows this text.
struct Screen {
    shown: Vec<u8>,
    until: &'static str,
    tell: Sender<()>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shown.extend_from_slice(bytes);
        if String::from_utf8_lossy(bytes).contains(self.until) {
            // Who was told once needs not be told again.
            let _ = self.tell.send(());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_waits_at_a_terminal_sees_for_what_and_it_goes_away() {
    let (tell, until) = channel();
    let fake = Fake::held(r#"{"name":"/a"}"#.into(), until);
    let mut machine = Machine::with_token(&fake.url);
    machine.stderr_is_terminal = true;
    let mut screen = Screen { shown: Vec::new(), until: "(2 s)", tell };
    let mut out = Vec::new();
    assert_eq!(machine.run_with(ARGUMENTS, &mut out, &mut screen), 0);
    drop(fake.finish());
    let shown = String::from_utf8(screen.shown).unwrap();
    let lines: Vec<_> = shown.split("\r\u{1b}[K").collect();
    // What a name says does not steer the terminal.
    let first = "/a\\u001b[2J: waiting for somebody slow (1 s)";
    assert_eq!(lines[..2], ["", first], "{shown:?}");
    assert!(lines[2].ends_with("(2 s)"), "{shown:?}");
    assert_eq!(lines.last(), Some(&""), "something stayed: {shown:?}");
    assert!(!shown.contains("hunter2"));
    assert!(!String::from_utf8(out).unwrap().contains("waiting"));
}

#[test]
fn an_answer_that_comes_at_once_is_all_there_is() {
    let fake = Fake::new([r#"{"name":"/a"}"#.into()]);
    let mut machine = Machine::with_token(&fake.url);
    machine.stderr_is_terminal = true;
    let outcome = machine.run(ARGUMENTS);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    drop(fake.finish());
}

#[test]
fn commands_that_work_on_targets_say_what_they_wait_for() {
    let program = Program::keysherd(&[]);
    for (command, what) in [
        ("dynamic-secret-get-value", Some("make credentials")),
        ("dynamic-secret-create-custom", Some("trial")),
        ("gateway-create-producer-Redis", Some("trial")),
        ("gateway-update-producer-tmp-creds", Some("gateway")),
        ("gateway-rotate-secret", Some("new credentials")),
        ("target-create-db", Some("sign in")),
        ("get-secret-value", None),
        ("dynamic-secret-get", None),
        ("list-items", None),
    ] {
        let found = program.waits_for(command);
        let fits = match (found, what) {
            (Some(found), Some(what)) => found.contains(what),
            (found, what) => found == what,
        };
        assert!(fits, "{command}: {found:?}");
    }
    assert!(WAITS.iter().all(|(begin, what)| !begin.is_empty() && !what.is_empty()));
}

/// Runs what waits, with a standard error that is a terminal or not; what it says there.
fn said(arguments: &[&str], is_terminal: bool) -> String {
    use crate::context::Context;
    use crate::globals::{Format, Globals};
    use crate::store::Places;
    use crate::waiting::Waiting;
    let machine = Machine::new();
    let program = Program { specs: &[], ..Program::keysherd(&[]) };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut prompt = |_: &str| Err(io::Error::other("nobody is there to type"));
    let mut terminal = Terminal {
        stdin: &mut io::empty(),
        stdout: &mut out,
        stderr: &mut err,
        stdin_is_terminal: true,
        stdout_is_terminal: true,
        stderr_is_terminal: is_terminal,
        width: None,
        prompt: &mut prompt,
    };
    let env = |_: &str| None;
    let format = if arguments.contains(&"--json") { Format::Json } else { Format::Text };
    let context = Context {
        program: &program,
        env: &env,
        clock: &machine.clock,
        terminal: &mut terminal,
        globals: Globals { format, ..Globals::default() },
        places: Places::locate(&env),
    };
    let waiting = Waiting::of(&context, "target-create-db", &serde_json::json!({"name": "/db"}));
    waiting.map(|waiting| waiting.text().to_owned()).unwrap_or_default()
}

#[test]
fn programs_and_who_asks_for_json_see_nothing() {
    assert_eq!(said(&[], true), "/db: waiting for the target to let somebody sign in");
    assert_eq!(said(&["--json"], true), "");
    assert_eq!(said(&[], false), "");
}
