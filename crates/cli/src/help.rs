//! The text of `--help` without a command: everything there is, by topic.

use std::fmt::Write as _;

use keysherd_wire::{Spec, by_topic};

use crate::exit::Exit;
use crate::globals::GLOBALS;
use crate::local;
use crate::program::Program;
use crate::store::DEFAULT_URL;
use crate::verb;

/// The text.
pub(crate) fn overview(program: &Program<'_>) -> String {
    let name = program.name;
    let mut text = format!(
        "{name} {}: {}\n\nUsage: {name} <command> [flags]\n       {name} <command> --help\n\n\
         Words may be joined or not: '{name} auth-method-create-api-key' and\n\
         '{name} auth-method create api-key' are the same command.\n",
        program.version, program.summary
    );
    if !program.roles.is_empty() {
        heading(&mut text, "Roles");
        rows(&mut text, program.roles.iter().copied());
    }
    heading(&mut text, "On this machine");
    rows(&mut text, local::ALL.iter().map(|local| of_spec(local.spec)));
    let specs: Vec<_> = verb::server_specs(program).collect();
    for (topic, members) in by_topic(&specs) {
        heading(&mut text, topic);
        rows(&mut text, members.into_iter().map(of_spec));
    }
    add_globals(&mut text);
    add_surroundings(&mut text);
    text
}

fn of_spec(spec: &Spec) -> (&str, &str) {
    (spec.name, spec.summary)
}

fn add_globals(text: &mut String) {
    heading(text, "Global flags");
    for global in GLOBALS {
        let mut flag = match global.short {
            Some(letter) => format!("-{letter}, --{}", global.name),
            None => format!("--{}", global.name),
        };
        if let Some(value) = global.value {
            flag.push_str(&format!(" <{value}>"));
        }
        row(text, &flag, global.help);
    }
}

fn add_surroundings(text: &mut String) {
    heading(text, "Environment");
    let variables = [
        ("KEYSHERD_PROFILE", "Profile, when no flag names one."),
        ("KEYSHERD_URL", "Address of the server."),
        ("KEYSHERD_CA_FILE", "As --ca-file."),
        ("KEYSHERD_TOKEN, KEYSHERD_UID_TOKEN", "As --token, --uid-token."),
        ("KEYSHERD_ACCESS_ID, KEYSHERD_ACCESS_KEY", "Credentials instead of a profile."),
        ("KEYSHERD_CONFIG_DIR", "Directory of profiles; else $XDG_CONFIG_HOME/keysherd."),
    ];
    rows(text, variables.into_iter());
    let _ = writeln!(
        text,
        "\nThe AKEYLESS_ variables DEFAULT_PROFILE, GATEWAY_URL, UID_TOKEN, ACCESS_ID, ACCESS_KEY \
         and\nTRUSTED_TLS_CERTIFICATE_FILE count when ours are not set. Without any address it is\n\
         {DEFAULT_URL}."
    );
    heading(text, "Exit status");
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "  {}  {meaning}", exit.code());
    }
}

fn heading(text: &mut String, title: &str) {
    let _ = writeln!(text, "\n{title}:");
}

fn rows<'a>(text: &mut String, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    for (left, right) in rows {
        row(text, left, right);
    }
}

fn row(text: &mut String, left: &str, right: &str) {
    let _ = writeln!(text, "  {left:<40} {right}");
}
