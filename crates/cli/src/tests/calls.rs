//! Calls of a fake server: output, errors, exit codes, warnings.

use std::io::{self, ErrorKind, Write};

use serde_json::json;

use super::fake::{Fake, Reply};
use super::harness::Machine;

fn answered(arguments: &[&str], body: &str) -> String {
    let fake = Fake::new([body.into()]);
    let mut machine = Machine::with_token(&fake.url);
    let out = machine.run(arguments).ok();
    drop(fake.finish());
    out
}

#[test]
fn answers_are_shown_as_the_command_says() {
    let items = r#"{"items":[{"item_name":"/a","item_id":1},{"item_name":"/bc","item_id":22}]}"#;
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["create-secret", "-n", "/a", "-v", "x", "--no-warn"],
            r#"{"name":"/a"}"#,
            "A new secret named /a was successfully created\n",
        ),
        (
            &["create-secret", "-n", "/a", "-v", "x", "--no-warn", "--json"],
            r#"{"name":"/a"}"#,
            "{\n   \"name\": \"/a\"\n}\n",
        ),
        (
            &["auth-method", "create", "api-key", "-n", "ci"],
            r#"{"access_id":"p-1","access_key":"k"}"#,
            "Auth Method ci successfully created\n- Access ID: p-1\n- Access Key: k\n",
        ),
        (&["get-secret-value", "-n", "/a"], r#"{"/a":"line\u001b[1m"}"#, "line\u{1b}[1m\n"),
        (&["list-items"], items, "Name  ID\n/a    1\n/bc   22\n"),
        (&["list-items", "--output", "json"], r#"{"items":[]}"#, "{\n   \"items\": []\n}\n"),
    ];
    for (arguments, body, out) in cases {
        assert_eq!(answered(arguments, body), *out, "{arguments:?}");
    }
}

#[test]
fn a_terminal_gets_no_control_characters() {
    let fake = Fake::new([r#"{"/a":"x\u001b]0;title\u0007"}"#.into()]);
    let mut machine = Machine::with_token(&fake.url);
    machine.stdout_is_terminal = true;
    assert_eq!(machine.run(&["get-secret-value", "-n", "/a"]).ok(), "x\\u001b]0;title\\u0007\n");
    drop(fake.finish());
}

#[test]
fn refusals_have_their_text_hint_and_exit_code() {
    let cases = [
        (400, "bad name", 1, ""),
        (401, "no", 4, "Hint: run 'keysherd auth' to log in again"),
        (403, "protected", 1, ""),
        (404, "no item /a", 5, ""),
        (409, "Status 409 Conflict, Error: AlreadyExists", 6, ""),
        (500, "internal", 7, "Request id: r-9"),
    ];
    for (status, text, code, more) in cases {
        let body = json!({ "error": text }).to_string();
        let fake = Fake::new([Reply(status, "keysherd-request-id: r-9\r\n", body)]);
        let mut machine = Machine::with_token(&fake.url);
        let outcome = machine.run(&["list-items"]);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert_eq!(outcome.out, "");
        let expected = format!("Failed to list items. Error: {text}\n");
        assert!(outcome.err.starts_with(&expected), "{outcome:?}");
        assert!(outcome.err[expected.len()..].starts_with(more), "{outcome:?}");
        assert_eq!(more.is_empty(), outcome.err == expected, "{outcome:?}");
        drop(fake.finish());
    }
}

#[test]
fn an_error_text_cannot_steer_the_terminal() {
    let body = json!({ "error": "no\u{1b}[2J" }).to_string();
    let fake = Fake::new([Reply(404, "", body)]);
    let outcome = Machine::with_token(&fake.url).run(&["list-items"]);
    assert_eq!(outcome.err, "Failed to list items. Error: no\\u001b[2J\n");
    drop(fake.finish());
}

#[test]
fn an_answer_that_is_not_json_is_the_servers_fault() {
    for status in [200, 502] {
        let fake = Fake::new([Reply(status, "", "<html>".to_owned())]);
        let outcome = Machine::with_token(&fake.url).run(&["list-items"]);
        assert_eq!(outcome.code, 7);
        assert!(outcome.err.contains("and no JSON"), "{outcome:?}");
        drop(fake.finish());
    }
}

#[test]
fn nobody_there_ends_with_3_and_says_what_to_check() {
    // A port that is taken, and where nobody listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let outcome = Machine::with_token(&url).run(&["list-items"]);
    assert_eq!(outcome.code, 3);
    assert!(
        outcome.err.starts_with(&format!("Failed to list items. Error: cannot connect to {url}: ")),
        "{outcome:?}"
    );
    assert!(outcome.err.contains("\nHint: is the server running"));
}

#[test]
fn a_ca_file_that_is_missing_ends_with_8() {
    let outcome =
        Machine::with_token("https://localhost:1").run(&["list-items", "--ca-file", "/absent.pem"]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("/absent.pem"), "{outcome:?}");
}

#[test]
fn warnings_of_the_server_and_debug_lines_go_to_standard_error() {
    let headers = "keysherd-warning: items at the root\r\nkeysherd-warning: another\r\n\
                   keysherd-request-id: r-1\r\n";
    let fake = Fake::new([Reply(200, headers, r#"{"name":"/a"}"#.to_owned())]);
    let url = fake.url.clone();
    let mut machine = Machine::with_token(&url);
    machine.stdin = "s3cret".to_owned();
    let outcome = machine.run(&["create-secret", "-n", "/a", "-v", "-", "--debug"]);
    drop(fake.finish());
    assert_eq!(outcome.out, "A new secret named /a was successfully created\n");
    let lines: Vec<_> = outcome.err.lines().collect();
    assert_eq!(lines[0], format!("debug: POST {url}/create-secret, profile default"));
    assert!(lines[1].starts_with("debug: status 200, request id r-1, "));
    assert_eq!(lines[2..], ["Warning: items at the root", "Warning: another"]);
    assert!(!outcome.err.contains("s3cret") && !outcome.err.contains("t-env"));
}

#[test]
fn no_result_is_no_output() {
    let fake = Fake::new([r#"{"items":null}"#.into()]);
    let outcome = Machine::with_token(&fake.url).run(&["list-items"]);
    assert_eq!(
        (outcome.code, outcome.out.as_str(), outcome.err.as_str()),
        (0, "", "Nothing found.\n")
    );
    drop(fake.finish());
}

/// A reader that has gone away, or a full disk.
struct Broken(ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_disk_is_not() {
    let (code, err) = Machine::new().run_into(&["--help"], &mut Broken(ErrorKind::BrokenPipe));
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, err) = Machine::new().run_into(&["--help"], &mut Broken(ErrorKind::StorageFull));
    assert_eq!(code, 8);
    assert!(err.starts_with("Error: cannot write the result: "), "{err}");
}
