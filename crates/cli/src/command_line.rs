//! From arguments to a command and the arguments that are its own.

use std::ffi::OsString;

use crate::failure::Failure;
use crate::globals::GLOBALS;
use crate::program::Program;
use crate::verb::{self, Verb};

/// What a command line asks for.
pub(crate) enum Line {
    /// The list of all commands, asked for.
    Overview,
    /// The same, because nothing was asked for.
    Nothing,
    /// The version.
    Version,
    /// A command.
    Verb {
        /// The command.
        verb: Verb,
        /// Its flags.
        rest: Vec<String>,
    },
}

/// Reads the arguments after the program's name.
pub(crate) fn read(
    program: &Program<'_>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Line, Failure> {
    let arguments = texts(arguments)?;
    let start = globals_length(&arguments)?;
    let (before, after) = arguments.split_at(start.min(arguments.len()));
    match after.first().map(String::as_str) {
        None if before.is_empty() => return Ok(Line::Nothing),
        None => return Err(no_command(program)),
        Some("-h" | "--help") => return Ok(Line::Overview),
        Some("-V" | "--version") => return Ok(Line::Version),
        Some("help") => return read_help(program, after.get(1..).unwrap_or_default()),
        Some(flag) if flag.starts_with('-') => {
            return Err(Failure::usage(format!(
                "'{flag}' stands before the command, where only global flags can be"
            )));
        }
        Some(_) => {}
    }
    let words = leading_words(after);
    let Some((verb, used)) = verb::find(program, words) else {
        return Err(verb::unknown(program, words));
    };
    let mut rest = before.to_vec();
    let mut own = after.get(used..).unwrap_or_default().to_vec();
    if let (Some(field), Some(first)) = (verb.positional, own.first_mut())
        && !first.starts_with('-')
    {
        *first = format!("--{field}={first}");
    }
    rest.append(&mut own);
    Ok(Line::Verb { verb, rest })
}

fn read_help(program: &Program<'_>, words: &[String]) -> Result<Line, Failure> {
    if words.is_empty() {
        return Ok(Line::Overview);
    }
    match verb::find(program, words) {
        Some((verb, _)) => Ok(Line::Verb { verb, rest: vec!["--help".to_owned()] }),
        None => Err(verb::unknown(program, words)),
    }
}

fn texts(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    arguments
        .enumerate()
        .map(|(index, argument)| {
            argument.into_string().map_err(|_| {
                Failure::usage(format!("argument {} is not UTF-8 text", index + 1))
                    .hint("give such a value in a file")
            })
        })
        .collect()
}

/// How many arguments at the start are global flags and their values.
fn globals_length(arguments: &[String]) -> Result<usize, Failure> {
    let mut length = 0;
    while let Some(argument) = arguments.get(length) {
        match global_arguments(argument) {
            0 => break,
            count => length += count,
        }
    }
    if length > arguments.len() {
        return Err(Failure::usage(format!(
            "the flag {} has no value",
            arguments.last().map_or("", String::as_str)
        )));
    }
    Ok(length)
}

/// How many arguments this global flag takes up; 0 when it is none.
fn global_arguments(argument: &str) -> usize {
    if let Some(long) = argument.strip_prefix("--") {
        let (name, has_value) = match long.split_once('=') {
            Some((name, _)) => (name, true),
            None => (long, false),
        };
        let name = name.replace('_', "-");
        return match GLOBALS.iter().find(|global| global.name == name) {
            None => 0,
            Some(global) if has_value || global.value.is_none() => 1,
            Some(_) => 2,
        };
    }
    let letter = argument.strip_prefix('-').and_then(|rest| {
        let mut characters = rest.chars();
        let letter = characters.next()?;
        Some((letter, characters.next().is_some()))
    });
    match letter {
        Some((letter, has_value)) if GLOBALS.iter().any(|global| global.short == Some(letter)) => {
            if has_value {
                1
            } else {
                2
            }
        }
        _ => 0,
    }
}

fn leading_words(arguments: &[String]) -> &[String] {
    let count = arguments.iter().take_while(|argument| !argument.starts_with('-')).count();
    arguments.get(..count).unwrap_or_default()
}

fn no_command(program: &Program<'_>) -> Failure {
    Failure::usage("there is no command")
        .hint(format!("'{} --help' lists all commands", program.name))
}
