//! Flags that every command has.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use keysherd_base::{Secret, SecretString};

use crate::failure::Failure;

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// As the command's specification says, for people.
    #[default]
    Text,
    /// The server's JSON.
    Json,
    /// A table.
    Table,
}

/// The values of the flags.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) profile: Option<String>,
    pub(crate) token: Option<SecretString>,
    pub(crate) uid_token: Option<SecretString>,
    pub(crate) gateway_url: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// As written: some commands pass it on.
    pub(crate) json: Option<bool>,
    pub(crate) format: Format,
    pub(crate) debug: bool,
    pub(crate) no_warn: bool,
    pub(crate) no_browser: bool,
}

/// A flag as data: it feeds the parser, the search for the command's words, and the help text.
pub(crate) struct GlobalFlag {
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    /// What its value is called; `None` for a boolean.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
}

const fn text(name: &'static str, value: &'static str, help: &'static str) -> GlobalFlag {
    GlobalFlag { name, short: None, value: Some(value), help }
}

const fn flag(name: &'static str, help: &'static str) -> GlobalFlag {
    GlobalFlag { name, short: None, value: None, help }
}

/// All of them.
pub(crate) const GLOBALS: &[GlobalFlag] = &[
    text("profile", "NAME", "Profile to use."),
    text("token", "TOKEN", "Token of an earlier login."),
    text("uid-token", "TOKEN", "Universal-identity token."),
    GlobalFlag {
        name: "gateway-url",
        short: Some('u'),
        value: Some("URL"),
        help: "Address of the server, such as https://localhost:8000.",
    },
    text("ca-file", "PATH", "PEM file with the CA certificates to trust instead of the system's."),
    flag("json", "Print the server's JSON."),
    text("output", "FORMAT", "How to show results: text, json or table."),
    flag("debug", "Print addresses, statuses and request ids on standard error."),
    flag("no-warn", "Print no warnings of this program."),
    flag("no-browser", "Open no browser for logins that need one; print the link only."),
    flag("no-creds-cleanup", "Accepted for compatibility, no effect."),
];

/// Whether a command's field is served by a global flag.
pub(crate) fn is_global(field: &str) -> bool {
    GLOBALS.iter().any(|global| global.name == field)
}

/// The flags for the parser.
pub(crate) fn arguments() -> impl Iterator<Item = Arg> {
    GLOBALS.iter().map(|global| {
        let arg =
            Arg::new(global.name).long(global.name).help(global.help).help_heading("Global flags");
        let arg = match global.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        match global.value {
            None => boolean(arg),
            Some(value) if global.name == "output" => arg
                .value_name(value)
                .hide_possible_values(true)
                .value_parser(["text", "json", "table"])
                .ignore_case(true),
            Some(value) if global.name == "ca-file" => {
                arg.value_name(value).value_parser(value_parser!(PathBuf))
            }
            Some(value) => arg.value_name(value),
        }
    })
}

/// A boolean flag: `--flag`, `--flag=true` or `--flag=false`.
pub(crate) fn boolean(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .value_name("true|false")
        .value_parser(parse_boolean)
}

fn parse_boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// Reads the flags.
pub(crate) fn read(matches: &ArgMatches) -> Result<Globals, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let flag = |name: &str| matches.get_one::<bool>(name).copied();
    let json = flag("json");
    let output = text("output").map(|name| name.to_ascii_lowercase());
    let format = match (json, output.as_deref()) {
        (Some(true), _) | (_, Some("json")) => Format::Json,
        (_, Some("table")) => Format::Table,
        _ => Format::Text,
    };
    let globals = Globals {
        profile: text("profile"),
        token: text("token").map(Secret::new),
        uid_token: text("uid-token").map(Secret::new),
        gateway_url: text("gateway-url"),
        ca_file: matches.get_one::<PathBuf>("ca-file").cloned(),
        json,
        format,
        debug: flag("debug").unwrap_or_default(),
        no_warn: flag("no-warn").unwrap_or_default(),
        no_browser: flag("no-browser").unwrap_or_default(),
    };
    if globals.token.is_some() && globals.uid_token.is_some() {
        return Err(Failure::usage("give --token or --uid-token, not both"));
    }
    let wrong = globals.uid_token.as_ref().is_some_and(|token| !token.expose().starts_with("u-"));
    if wrong {
        return Err(Failure::usage(
            "a universal-identity token starts with u-; others go into --token",
        ));
    }
    Ok(globals)
}
