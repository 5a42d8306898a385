//! What command lines mean: words, flags, secrets and help.

use serde_json::{Value, json};

use super::fake::Fake;
use super::harness::Machine;

/// Runs a command line; the command and the body that the server was sent, without the token.
fn sent(arguments: &[&str], stdin: &str) -> (String, Value) {
    let fake = Fake::new(["{}".into()]);
    let mut machine = Machine::with_token(&fake.url);
    stdin.clone_into(&mut machine.stdin);
    let outcome = machine.run(arguments);
    assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
    let mut request = fake.finish().remove(0);
    if let Value::Object(map) = &mut request.body {
        assert_eq!(map.remove("token"), Some(json!("t-env")), "{arguments:?}");
    }
    (request.command, request.body)
}

#[test]
fn words_may_be_joined_or_not() {
    let cases: &[(&[&str], &str)] = &[
        (&["auth-method-create-api-key", "-n", "a"], "auth-method-create-api-key"),
        (&["auth-method", "create", "api-key", "-n", "a"], "auth-method-create-api-key"),
        (&["auth_method", "create_api_key", "--name", "a"], "auth-method-create-api-key"),
        (&["create", "auth-method", "--name=a"], "create-auth-method"),
        (&["create-auth-method", "-na"], "create-auth-method"),
        (&["--debug", "--output", "text", "create-auth-method", "-n", "a"], "create-auth-method"),
        (&["--output=json", "Create-Auth-Method", "-n", "a"], "create-auth-method"),
    ];
    for (arguments, command) in cases {
        let (name, body) = sent(arguments, "");
        assert_eq!((name.as_str(), body), (*command, json!({ "name": "a" })));
    }
}

#[test]
fn flags_become_fields_of_their_type() {
    let base = ["create-secret", "-n", "/a", "-v", "-"];
    let cases: &[(&[&str], Value)] = &[
        (&[], json!({})),
        (&["-t", "x", "--tags", "y,z"], json!({ "tags": ["x", "y,z"] })),
        (
            &["--custom-field", "a=1", "--custom_field=b=c=d"],
            json!({ "custom-field": { "a": "1", "b": "c=d" } }),
        ),
        (&["--max-versions", "-1"], json!({ "max-versions": -1 })),
        (&["--delete_protection"], json!({ "delete_protection": true })),
        (&["--delete-protection=False"], json!({ "delete_protection": false })),
        (&["--format", "JSON"], json!({ "format": "JSON" })),
        (&["--change-event", ""], json!({ "change-event": "" })),
        (&["--json"], json!({ "json": true })),
        (&["--json=false"], json!({ "json": false })),
        (&["--no-creds-cleanup"], json!({})),
    ];
    for (more, expected) in cases {
        let arguments: Vec<_> = base.iter().chain(*more).copied().collect();
        let (_, body) = sent(&arguments, "s3cret\n");
        let mut expected = expected.clone();
        expected["name"] = json!("/a");
        expected["value"] = json!("s3cret");
        assert_eq!(body, expected, "{arguments:?}");
    }
}

#[test]
fn command_lines_that_are_not_understood_end_with_2() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: keysherd <command>"),
        (&["--debug"], "there is no command"),
        (&["--profile"], "the flag --profile has no value"),
        (&["--nope", "list-items"], "'--nope' stands before the command"),
        (&["list-item"], "did you mean list-items?"),
        (&["secret", "create"], "did you mean create-secret?"),
        (&["qqq"], "--help' lists all commands"),
        (
            &["auth-method"],
            "'auth-method' is not a command, but these begin with it:\n  \
             auth-method-create-api-key ",
        ),
        (&["list-items", "--nope"], "unexpected argument '--nope'"),
        (&["list-items", "extra"], "unexpected argument 'extra'"),
        (
            &["create-secret", "-v", "x", "--no-warn"],
            "Failed to create secret. Error: the flag --name is missing\nHint: ",
        ),
        (&["create-secret"], "the flags --name and --value are missing"),
        (&["create-secret", "-n", "a", "--max-versions", "x"], "invalid value 'x'"),
        (&["create-secret", "-n", "a", "--format", "xml"], "possible values: text, json"),
        (&["create-secret", "-n", "a", "--custom-field", "x"], "it must be KEY=VALUE"),
        (&["create-secret", "-n", "a", "--delete-protection=maybe"], "it must be true or false"),
        (
            &["create-secret", "-n", "a", "-v", "-", "--value-stdin"],
            "give one of --value, --value-file and --value-stdin",
        ),
        (&["list-items", "--output", "xml"], "invalid value 'xml'"),
        (&["list-items", "--token", "t-1", "--uid-token", "u-1"], "not both"),
        (&["list-items", "--uid-token", "t-1"], "starts with u-"),
        (&["list-items", "--profile", "../x"], "name of a profile"),
        (&["list-items", "-u", "ftp://x"], "is not the address"),
    ];
    for (arguments, text) in cases {
        let outcome = Machine::new().run(arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
        assert!(outcome.err.contains(text), "{arguments:?}: {}", outcome.err);
        assert_eq!(outcome.out, "", "{arguments:?}");
    }
}

#[test]
fn secrets_come_from_files_and_standard_input_without_a_warning() {
    let machine = Machine::new();
    let file = machine.write("value.txt", "of a file\n");
    let pem = machine.write("key.pem", "-----A\nB\n-----\n");
    let cases: &[(&[&str], &str)] = &[
        (&["--value-file", &file], "of a file"),
        (&["--value_file", &pem], "-----A\nB\n-----\n"),
        (&["--value-file", "-"], "typed"),
        (&["--value-stdin"], "typed"),
        (&["--value", "-"], "typed"),
        (&["-v=-"], "typed"),
    ];
    for (more, value) in cases {
        let fake = Fake::new(["{}".into()]);
        let mut machine = Machine::with_token(&fake.url);
        machine.stdin = "typed\n".to_owned();
        let arguments: Vec<_> = ["create-secret", "-n", "a"].iter().chain(*more).collect();
        let arguments: Vec<&str> = arguments.into_iter().copied().collect();
        let outcome = machine.run(&arguments);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{more:?}");
        assert_eq!(fake.finish()[0].body["value"], json!(value), "{more:?}");
    }
}

#[test]
fn a_secret_on_the_command_line_works_and_warns_once() {
    let warned = |more: &[&str]| {
        let fake = Fake::new(["{}".into()]);
        let mut machine = Machine::with_token(&fake.url);
        let arguments: Vec<_> = ["create-secret", "-n", "a"].iter().chain(more).copied().collect();
        let outcome = machine.run(&arguments);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        drop(fake.finish());
        outcome.err.matches("Warning: a secret").count()
    };
    assert_eq!(warned(&["-v", "plain"]), 1);
    assert_eq!(warned(&["--value-stdin", "--token", "t-1"]), 1);
    assert_eq!(warned(&["-v", "plain", "--token", "t-1"]), 1);
    assert_eq!(warned(&["--value-stdin"]), 0);
    assert_eq!(warned(&["-v", "plain", "--no-warn"]), 0);
}

#[test]
fn a_missing_secret_is_asked_for_when_a_person_is_there() {
    let fake = Fake::new(["{}".into()]);
    let mut machine = Machine::with_token(&fake.url);
    machine.stdin_is_terminal = true;
    machine.typed = vec!["hunter2"];
    machine.run(&["create-secret", "-n", "a"]).ok();
    assert_eq!(fake.finish()[0].body["value"], json!("hunter2"));

    // Not when something else is missing as well: that is a mistake.
    let mut machine = Machine::new();
    machine.stdin_is_terminal = true;
    assert_eq!(machine.run(&["create-secret"]).code, 2);
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named() {
    let outcome = Machine::new().run(&["create-secret", "-n", "a", "--value-file", "/absent/x"]);
    assert_eq!(outcome.code, 8);
    assert_eq!(outcome.err, "Failed to create secret. Error: there is no file /absent/x\n");
}

#[test]
fn batches_are_arrays_and_their_token_a_header() {
    let run = |arguments: &[&str], stdin: &str| {
        let fake = Fake::new(["[]".into()]);
        let mut machine = Machine::with_token(&fake.url);
        stdin.clone_into(&mut machine.stdin);
        machine.run(arguments).ok();
        let request = fake.finish().remove(0);
        assert!(request.head.contains("authorization: Bearer t-env"));
        request.body
    };
    assert_eq!(run(&["encrypt-batch", "--plaintext", "a"], ""), json!([{ "plaintext": "a" }]));
    let rows = r#"[{"plaintext":"a"},{"plaintext":"b"}]"#;
    assert_eq!(
        run(&["encrypt-batch", "--body-file", "-"], rows),
        json!([{ "plaintext": "a" }, { "plaintext": "b" }])
    );
    let mut machine = Machine::new();
    let file = machine.write("rows.json", "{}");
    let outcome = machine.run(&["encrypt-batch", "--body-file", &file]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("is not a JSON array"), "{outcome:?}");
}

#[test]
fn the_overview_lists_everything_by_topic() {
    let text = Machine::new().run(&["--help"]).ok();
    assert_eq!(text, Machine::new().run(&["help"]).ok());
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    for line in [
        "keysherd 1.2.3: a program for tests.",
        "Roles:",
        "  server                                   Runs everything on this machine.",
        "On this machine:",
        "  configure                                Writes a profile: which server, and who logs \
         in.",
        "Items and secrets:",
        "  create-secret                            Does what its name says.",
        "Authentication methods:",
        "Global flags:",
        "  -u, --gateway-url <URL>                  Address of the server, such as \
         https://localhost:8000.",
        "Exit status:",
        "  4  no valid token, wrong credentials or not permitted (401)",
    ] {
        assert!(lines.contains(&line), "{line:?} is not in {text}");
    }
    assert_eq!(text.matches("\n  auth  ").count(), 1);
}

#[test]
fn help_of_a_command_comes_from_its_specification() {
    for arguments in [
        ["create-secret", "--help"].as_slice(),
        &["create-secret", "-n", "a", "-h"],
        &["help", "create", "secret"],
    ] {
        let text = Machine::new().run(arguments).ok();
        for part in [
            "Does what its name says.",
            "Usage: keysherd create-secret --name <name> --value <value> [flags]",
            "--delete_protection",
            "Path of the object. [required]",
            "Events. Accepted, no effect yet.",
            "[default: text]",
            "[possible values: text, json]",
            "Global flags:",
            "Access: Any valid token.",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(!text.contains("--value-file <"), "{text}");
    }
}

#[test]
fn version_and_completions_need_nothing_else() {
    for arguments in [["version"], ["--version"], ["-V"]] {
        assert_eq!(Machine::new().run(&arguments).ok(), "Version: 1.2.3\n");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Machine::new().run(&["completions", shell]).ok();
        assert!(script.contains("create-secret"), "{shell}");
        assert!(script.contains("delete_protection"), "{shell}");
    }
    assert_eq!(Machine::new().run(&["completions", "tcsh"]).code, 2);
}
