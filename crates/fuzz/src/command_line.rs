//! Command lines, up to the moment at which the server would be called.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use keysherd_api::commands;
use keysherd_base::{ManualClock, Timestamp};
use keysherd_cli::{Exit, Program, Terminal, run};
use keysherd_wire::{Shape, Spec};

const ARGUMENTS_MAX: usize = 24;
const CANARY: &str = "hunter2-canary";
/// No server has this address, so no run reaches the network.
const NOWHERE: &str = "--gateway-url=ftp://nowhere";
/// No run finds a profile here, and none may write one.
const HOME: &str = "/nonexistent/keysherd-fuzz";

static SPECS: LazyLock<Vec<&'static Spec>> = LazyLock::new(commands::specs);

/// Each line is an argument.
///
/// A run ends with a documented exit code and says something, nothing that it shows steers a
/// terminal, and a secret flag is never repeated.
pub fn command_line(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let arguments: Vec<OsString> =
        lines.take(ARGUMENTS_MAX).map(|line| OsStr::from_bytes(line).to_owned()).collect();
    if arguments.iter().any(|argument| names_a_file(argument)) {
        return;
    }
    let given: Vec<OsString> =
        [NOWHERE.into()].into_iter().chain(arguments.iter().cloned()).collect();
    run_once(&given);
    check_secrets(&arguments);
}

/// Whether a run might read a file that is none of this test's.
fn names_a_file(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy().replace('_', "-");
    text.starts_with('-') && (text.contains("file") || text.contains("bootstrap"))
}

/// Adds each secret flag of the command, with a value that must not be seen again.
fn check_secrets(arguments: &[OsString]) {
    let Some(name) = arguments.first().and_then(|name| name.to_str()) else { return };
    let Some(spec) = SPECS.iter().find(|spec| spec.name == name) else { return };
    if arguments.iter().any(|argument| argument == "--") {
        return;
    }
    let fields = spec.all_fields().filter(|field| field.secret);
    // Not maps: of those the parser repeats a pair that has no `=`.
    for field in fields.filter(|field| field.shape == Shape::Text) {
        let secret = format!("--{}={CANARY}", field.documented);
        let mut given = vec![NOWHERE.into()];
        given.extend(arguments.iter().cloned());
        given.push(secret.into());
        let shown = run_once(&given);
        assert!(!shown.contains(CANARY), "{given:?}: {shown}");
    }
}

/// Runs with these arguments after the program's name, and returns all that was shown.
fn run_once(arguments: &[OsString]) -> String {
    let program = Program::keysherd(&SPECS);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut prompt = |_: &str| Err(io::Error::other("nobody is there to type"));
    let mut terminal = Terminal {
        stdin: &mut "from standard input\n".as_bytes(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdin_is_terminal: arguments.len().is_multiple_of(2),
        stdout_is_terminal: true,
        stderr_is_terminal: true,
        width: Some(80),
        prompt: &mut prompt,
    };
    let env = |name: &str| (name == "HOME").then(|| HOME.to_owned());
    let clock = ManualClock::new(Timestamp(1_767_607_872_000));
    let given = std::iter::once("keysherd".into()).chain(arguments.iter().cloned());
    let code = run(&program, given, &env, &clock, &mut terminal);
    assert!(Exit::ALL.iter().any(|(exit, _)| exit.code() == code), "exit code {code}");
    assert_ne!(code, Exit::Unreachable.code(), "a run reached the network: {arguments:?}");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    // What is no result, such as that there is none, goes to standard error.
    let silent = stdout.is_empty() && stderr.is_empty();
    assert!(code != 0 || !silent, "{arguments:?} worked in silence");
    assert!(code == 0 || !stderr.is_empty(), "{arguments:?} failed in silence");
    check_harmless(&stderr);
    check_harmless(&stdout);
    format!("{stdout}{stderr}")
}

/// Nothing that moves a cursor, hides text or turns its direction.
fn check_harmless(shown: &str) {
    let lines = shown.replace("\r\n", "\n");
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!lines.contains(steers), "{shown:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "",
        "--help",
        "--version",
        "help\nauth\nmethod",
        "create-secret\n--help",
        "create-secret\n--name\n/a/b\n--value\n-\n--format=json\n--tags=x\n--tags=y",
        "create\nsecret\n-n/a\n-v-",
        "get-secret-value\n--name=/a\n--version=-3\n--json=false",
        "auth\n--access-id=p-abcdefghijkl\n--access-key-stdin",
        "encrypt\n--key_name=/k\n-p\n-\n--encryption-context=a=b",
        "configure\n--access-id\nx\n--access-key\ny",
        "--profile\np\nlist-profiles\n--output\ntable",
        "list-profiles",
        "set-default-profile\np",
        "--token\nu-1\nlist-items",
        "--debug\ngte-secret-value",
        "delete-item\n--\n-n",
        "\u{1b}[2J",
        "static-creds-auth\n--creds-stdin\n--creds=-",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
