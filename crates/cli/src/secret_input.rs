//! Ways for a secret to reach a command without standing on the command line, where every user
//! of the machine can see it.

use std::path::Path;

use clap::ArgMatches;
use keysherd_base::limits::BODY_BYTES_MAX;
use keysherd_base::{Secret, SecretBytes, SecretString};
use keysherd_wire::{FieldSpec, Shape};

use crate::failure::Failure;
use crate::private_file;
use crate::terminal::Terminal;

/// Where a secret came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag,
    /// A file, standard input or a prompt.
    Hidden,
}

/// Whether `field` has these ways.
pub(crate) const fn applies(field: &FieldSpec) -> bool {
    field.secret && matches!(field.shape, Shape::Text)
}

/// The flag that names a file with the value of `field`.
pub(crate) fn file_flag(field: &FieldSpec) -> String {
    format!("{}-file", field.name)
}

/// The flag that says that standard input is the value of `field`.
pub(crate) fn stdin_flag(field: &FieldSpec) -> String {
    format!("{}-stdin", field.name)
}

/// Standard input can be one secret only.
#[derive(Debug, Default)]
pub(crate) struct Stdin {
    taken: bool,
}

impl Stdin {
    /// Everything on standard input.
    pub(crate) fn take(&mut self, terminal: &mut Terminal<'_>) -> Result<SecretString, Failure> {
        if std::mem::replace(&mut self.taken, true) {
            return Err(Failure::usage("standard input can be used only once"));
        }
        let bytes = private_file::read_all(terminal.stdin, BODY_BYTES_MAX)
            .map_err(|error| Failure::local(format!("cannot read standard input: {error}")))?;
        text(bytes).ok_or_else(|| Failure::usage("standard input is not UTF-8 text"))
    }
}

/// The value of the secret `field`, if it was given.
pub(crate) fn read(
    field: &FieldSpec,
    matches: &ArgMatches,
    stdin: &mut Stdin,
    terminal: &mut Terminal<'_>,
) -> Result<Option<(SecretString, Origin)>, Failure> {
    let plain = matches.get_one::<String>(field.name);
    let file = matches.get_one::<String>(&file_flag(field));
    let piped = matches.get_flag(&stdin_flag(field));
    let ways = usize::from(plain.is_some()) + usize::from(file.is_some()) + usize::from(piped);
    if ways > 1 {
        return Err(Failure::usage(format!(
            "give one of --{}, --{} and --{}",
            field.documented,
            file_flag(field),
            stdin_flag(field)
        )));
    }
    let from_stdin = piped || plain.is_some_and(|value| value == "-");
    if from_stdin {
        let value = stdin.take(terminal)?;
        return Ok(Some((one_line(value), Origin::Hidden)));
    }
    if let Some(path) = file {
        let value = match path.as_str() {
            "-" => stdin.take(terminal)?,
            path => read_file(Path::new(path))?,
        };
        return Ok(Some((one_line(value), Origin::Hidden)));
    }
    Ok(plain.map(|value| (Secret::new(value.clone()), Origin::Flag)))
}

/// The text in a file.
pub(crate) fn read_file(path: &Path) -> Result<SecretString, Failure> {
    let bytes = private_file::read(path, BODY_BYTES_MAX)
        .map_err(|error| Failure::local(format!("cannot read {}: {error}", path.display())))?
        .ok_or_else(|| Failure::local(format!("there is no file {}", path.display())))?;
    text(bytes).ok_or_else(|| Failure::local(format!("{} is not UTF-8 text", path.display())))
}

/// Asks a person for the value of `field`.
pub(crate) fn prompt(
    field: &FieldSpec,
    terminal: &mut Terminal<'_>,
) -> Result<SecretString, Failure> {
    (terminal.prompt)(&format!("{} (not shown): ", field.documented))
        .map_err(|error| Failure::local(format!("cannot ask for '{}': {error}", field.documented)))
}

/// Without the line end that editors and `echo` put after a single line. A text of several lines
/// is kept as it is, because there the last line end may belong to it.
fn one_line(mut value: SecretString) -> SecretString {
    let text = value.expose_mut();
    let Some(line) = text.strip_suffix('\n') else {
        return value;
    };
    let line = line.strip_suffix('\r').unwrap_or(line);
    if !line.contains('\n') {
        let length = line.len();
        text.truncate(length);
    }
    value
}

fn text(mut bytes: SecretBytes) -> Option<SecretString> {
    String::from_utf8(std::mem::take(bytes.expose_mut())).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_end_of_a_single_line_is_dropped() {
        let cases = [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n\n"),
            ("a\nb\n", "a\nb\n"),
            ("\n", ""),
            ("", ""),
        ];
        for (given, kept) in cases {
            let value = one_line(Secret::new(given.to_owned()));
            assert_eq!(value.expose(), kept, "{given:?}");
        }
    }
}
