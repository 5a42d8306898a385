//! The parser of one command's flags, made from its specification.
//!
//! Only the parser of the command in use is made, so starting takes as long with six hundred
//! commands as with six.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use keysherd_wire::{Body, FieldSpec, Shape, Spec};

use crate::globals;
use crate::secret_input;

/// Id of the flag that gives a batch command its whole body.
pub(crate) const BODY_FILE: &str = "body-file";
const BODY_FILE_HELP: &str = "File with the JSON array to send, instead of one object from flags; \
                              '-' is standard input.";

/// The parser for `spec`, whose usage line starts with `usage`.
pub(crate) fn parser(spec: &'static Spec, usage: &str, width: Option<usize>) -> Command {
    let command = Command::new(usage.to_owned())
        .no_binary_name(true)
        .disable_version_flag(true)
        .about(spec.summary)
        .override_usage(usage_line(spec, usage))
        .max_term_width(100);
    let command = match width {
        Some(width) => command.term_width(width),
        None => command,
    };
    add_arguments(command, spec).after_help(after_help(spec))
}

/// `command` with the flags of `spec` and the global ones.
pub(crate) fn add_arguments(mut command: Command, spec: &'static Spec) -> Command {
    command = add_fields(command, "Flags", spec.fields);
    if spec.body == Body::Array {
        command = command.arg(
            Arg::new(BODY_FILE)
                .long(BODY_FILE)
                .value_name("PATH")
                .help(BODY_FILE_HELP)
                .help_heading("Flags"),
        );
    }
    for group in spec.groups {
        command = add_fields(command, group.title, group.fields);
    }
    command.args(globals::arguments())
}

fn add_fields(mut command: Command, heading: &'static str, fields: &[FieldSpec]) -> Command {
    for field in fields {
        if globals::is_global(field.name) {
            continue;
        }
        command = command.arg(argument(field).help_heading(heading));
        if secret_input::applies(field) {
            command = command
                .arg(
                    Arg::new(secret_input::file_flag(field))
                        .long(secret_input::file_flag(field))
                        .value_name("PATH")
                        .hide(true),
                )
                .arg(
                    Arg::new(secret_input::stdin_flag(field))
                        .long(secret_input::stdin_flag(field))
                        .action(ArgAction::SetTrue)
                        .hide(true),
                );
        }
    }
    command
}

fn argument(field: &FieldSpec) -> Arg {
    let arg = Arg::new(field.name).long(field.documented).help(help_text(field));
    let arg = match field.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    let arg = match field.shape {
        Shape::Flag => return globals::boolean(arg),
        Shape::Int => {
            return arg
                .value_name("NUMBER")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(i64));
        }
        Shape::Map => {
            return arg.value_name("KEY=VALUE").action(ArgAction::Append).value_parser(parse_pair);
        }
        Shape::List => arg.value_name("TEXT").action(ArgAction::Append),
        Shape::Text => arg.value_name("TEXT"),
    };
    if field.choices.is_empty() {
        arg
    } else {
        arg.value_parser(PossibleValuesParser::new(field.choices)).ignore_case(true)
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it must be KEY=VALUE".to_owned()),
    }
}

fn help_text(field: &FieldSpec) -> String {
    let mut text = field.help.to_owned();
    match field.shape {
        Shape::List | Shape::Map => text.push_str(" Repeat the flag for more."),
        Shape::Text | Shape::Flag | Shape::Int => {}
    }
    if field.inert {
        text.push_str(" Accepted, no effect yet.");
    }
    if field.required {
        text.push_str(" [required]");
    }
    if let Some(default) = field.default {
        text.push_str(" [default: ");
        text.push_str(default);
        text.push(']');
    }
    if secret_input::applies(field) {
        text.push_str(&format!(
            " [secret: --{}, --{} or '-' keep it off the command line]",
            secret_input::file_flag(field),
            secret_input::stdin_flag(field)
        ));
    }
    text
}

fn usage_line(spec: &Spec, usage: &str) -> String {
    let mut line = usage.to_owned();
    for field in spec.all_fields().filter(|field| field.required) {
        if !globals::is_global(field.name) {
            line.push_str(&format!(" --{} <{}>", field.documented, field.name));
        }
    }
    line.push_str(" [flags]");
    line
}

fn after_help(spec: &Spec) -> String {
    let mut text = format!("Access: {}", spec.access.sentence());
    if !spec.aliases.is_empty() {
        let names: Vec<_> = spec.aliases.iter().map(|alias| alias.name).collect();
        text.push_str(&format!("\nOlder names: {}", names.join(", ")));
    }
    text
}

/// `arguments` with the long flags in the spelling the parser knows: `-` and `_` are one
/// character in the names of flags. Values are left alone.
pub(crate) fn normalize(spec: &Spec, arguments: Vec<String>) -> Vec<String> {
    let mut flags_ended = false;
    arguments
        .into_iter()
        .map(|argument| {
            flags_ended |= argument == "--";
            match argument.strip_prefix("--") {
                Some(flag) if !flags_ended && !flag.is_empty() => normalize_flag(spec, flag),
                _ => argument,
            }
        })
        .collect()
}

fn normalize_flag(spec: &Spec, flag: &str) -> String {
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (flag, None),
    };
    let dashed = name.replace('_', "-");
    let known = spec
        .field(&dashed)
        .filter(|field| !globals::is_global(field.name))
        .map_or(dashed.as_str(), |field| field.documented);
    match value {
        Some(value) => format!("--{known}={value}"),
        None => format!("--{known}"),
    }
}
