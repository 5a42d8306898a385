//! `uid-rotator`: what it asks, what it leaves on the disk, and what it finds there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::fake::{Fake, Reply};
use super::harness::Machine;

const ROTATED: &str = r#"{"token":"u-new"}"#;
const VALID: &str = r#"{"is_valid":true}"#;
const INVALID: &str = r#"{"is_valid":false}"#;

fn replies<const N: usize>(bodies: [&str; N]) -> [Reply; N] {
    bodies.map(Reply::from)
}

fn machine(server: &Fake) -> Machine {
    let mut machine = Machine::new();
    machine.set("KEYSHERD_URL", &server.url);
    machine
}

/// The names in the token's directory.
fn names(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(machine.path("run")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn content(machine: &Machine) -> String {
    fs::read_to_string(machine.path("run/token")).unwrap()
}

#[test]
fn a_rotation_is_written_used_and_finished() {
    let server = Fake::new(replies([ROTATED, VALID]));
    let mut machine = machine(&server);
    let file = machine.write("run/token", "u-old\n");
    let out = machine.run(&["uid-rotator", "--once", "--token-file", &file]).ok();
    assert!(!out.contains("u-"), "{out}");
    assert_eq!(content(&machine), "u-new");
    assert_eq!(names(&machine), ["token", "token.lock"]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let asked = server.finish();
    assert_eq!(asked[0].command, "uid-rotate-token");
    assert_eq!(asked[0].body["uid-token"], "u-old");
    assert_eq!(
        (asked[1].command.as_str(), &asked[1].body["token"]),
        ("validate-token", &"u-new".into())
    );
}

#[test]
fn an_unfinished_rotation_is_finished_first() {
    // Killed before the token's file was written, and after.
    for file in ["u-old", "u-new"] {
        let server = Fake::new(replies([VALID, r#"{"token":"u-newer"}"#, VALID]));
        let mut machine = machine(&server);
        let file = machine.write("run/token", file);
        machine.write("run/token.pending", "u-new\nu-old");
        machine.write("run/.token.draft", "torn");
        machine.run(&["uid-rotator", &file, "--once"]).ok();
        assert_eq!(content(&machine), "u-newer");
        assert_eq!(names(&machine), ["token", "token.lock"]);
        let asked = server.finish();
        assert_eq!(asked[0].body["token"], "u-new");
        assert_eq!(asked[1].body["uid-token"], "u-new");
    }
}

#[test]
fn a_value_that_was_given_up_is_not_kept() {
    let server = Fake::new(replies([INVALID, r#"{"token":"u-newer"}"#, VALID]));
    let mut machine = machine(&server);
    let file = machine.write("run/token", "u-new");
    machine.write("run/token.pending", "u-new\nu-old");
    machine.run(&["uid-rotator", &file, "--once"]).ok();
    assert_eq!(content(&machine), "u-newer");
    assert_eq!(server.finish()[1].body["uid-token"], "u-old");
}

#[test]
fn a_lost_confirmation_leaves_the_rotation_to_the_next_run() {
    let away = Reply(503, "", r#"{"error":"later"}"#.to_owned());
    let server = Fake::new([ROTATED.into(), away]);
    let mut machine = machine(&server);
    let file = machine.write("run/token", "u-old");
    let outcome = machine.run(&["uid-rotator", &file, "--once"]);
    assert_eq!(outcome.code, 7, "{outcome:?}");
    assert_eq!(content(&machine), "u-new");
    assert_eq!(names(&machine), ["token", "token.lock", "token.pending"]);
    let pending = fs::metadata(machine.path("run/token.pending")).unwrap().permissions().mode();
    assert_eq!(pending & 0o777, 0o600);
    server.finish();
}

#[test]
fn refusals_end_a_run_and_change_nothing() {
    for (status, code) in [(401, 4), (403, 1), (404, 5)] {
        let server = Fake::new([Reply(status, "", r#"{"error":"no"}"#.to_owned())]);
        let mut machine = machine(&server);
        let file = machine.write("run/token", "u-old");
        // Without --once, too: trying again cannot help.
        let outcome = machine.run(&["uid-auto-rotate", &file]);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert_eq!(content(&machine), "u-old");
        server.finish();
    }
}

#[test]
fn the_file_is_filled_once_and_belongs_to_one_rotator() {
    let server = Fake::new(replies([ROTATED, VALID]));
    let mut machine = machine(&server);
    let file = machine.write("run/token", "");
    let outcome = machine.run(&["uid-rotator", &file, "--once"]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("KEYSHERD_UID_TOKEN"), "{outcome:?}");
    let lock = fs::File::open(machine.path("run/token.lock")).unwrap();
    lock.lock().unwrap();
    let outcome = machine.run(&["uid-rotator", &file, "--once"]);
    assert!(outcome.err.contains("another rotator"), "{outcome:?}");
    drop(lock);
    machine.set("KEYSHERD_UID_TOKEN", "u-first");
    machine.run(&["uid-rotator", &file, "--once"]).ok();
    assert_eq!(content(&machine), "u-new");
    assert_eq!(server.finish()[0].body["uid-token"], "u-first");
    let outcome = machine.run(&["uid-rotator", &file, "--interval", "soon"]);
    assert_eq!(outcome.code, 2);
}
