//! The streams of a run, and what may be written to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};

use keysherd_base::{Secret, SecretString};

use crate::exit::Exit;
use crate::failure::Failure;

/// Longest answer to a visible question.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// The streams of a run.
pub struct Terminal<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// Standard output: results only.
    pub stdout: &'a mut dyn Write,
    /// Standard error: everything else.
    pub stderr: &'a mut dyn Write,
    /// Whether a person types into standard input.
    pub stdin_is_terminal: bool,
    /// Whether standard output is shown on a screen.
    pub stdout_is_terminal: bool,
    /// Whether standard error is, whose reader may be shown what is waited for.
    pub stderr_is_terminal: bool,
    /// Columns for help texts; `None`: find out.
    pub width: Option<usize>,
    /// Asks a person for a secret, without showing what is typed.
    pub prompt: &'a mut dyn FnMut(&str) -> io::Result<SecretString>,
}

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("stdin_is_terminal", &self.stdin_is_terminal)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .finish_non_exhaustive()
    }
}

impl Terminal<'_> {
    /// Runs `use_it` with the streams of this process.
    pub fn of_process<R>(use_it: impl FnOnce(&mut Terminal<'_>) -> R) -> R {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let stdin_is_terminal = stdin.is_terminal();
        let stdout_is_terminal = stdout.is_terminal();
        let stderr_is_terminal = stderr.is_terminal();
        let mut prompt = |text: &str| rpassword::prompt_password(text).map(Secret::new);
        use_it(&mut Terminal {
            stdin: &mut stdin.lock(),
            stdout: &mut stdout.lock(),
            stderr: &mut stderr.lock(),
            stdin_is_terminal,
            stdout_is_terminal,
            stderr_is_terminal,
            width: None,
            prompt: &mut prompt,
        })
    }

    /// Writes a result. On a terminal, control characters are made harmless; elsewhere every
    /// byte is kept. A line end is added when there is none.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        let safe = if self.stdout_is_terminal { neutralize(text) } else { Cow::Borrowed(text) };
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.write(safe.as_bytes())
            .and_then(|()| self.write(end.as_bytes()))
            .and_then(|()| self.flush())
    }

    /// Writes text of this program's own making, as it is.
    pub(crate) fn print_raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(bytes).and_then(|()| self.flush())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(|error| output_failed(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| output_failed(&error))
    }

    /// Writes a line to standard error. There is nobody to tell when that fails.
    pub(crate) fn note(&mut self, text: &str) {
        let line = format!("{}\n", neutralize(text).trim_end());
        let _ = self.stderr.write_all(line.as_bytes());
        let _ = self.stderr.flush();
    }

    /// Shows what is waited for, in place of what was shown before; an empty text leaves nothing.
    pub(crate) fn show_wait(&mut self, text: &str) {
        // Back to the beginning of the line, and away with what is there.
        let line = format!("\r\u{1b}[K{}", neutralize(text));
        let _ = self.stderr.write_all(line.as_bytes());
        let _ = self.stderr.flush();
    }

    /// Asks a person for a text that may be seen.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String, Failure> {
        let _ = self.stderr.write_all(question.as_bytes());
        let _ = self.stderr.flush();
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LINE_BYTES_MAX {
            let length = self
                .stdin
                .read(&mut byte)
                .map_err(|error| Failure::local(format!("cannot read standard input: {error}")))?;
            if length == 0 || byte == *b"\n" {
                break;
            }
            line.extend_from_slice(&byte);
        }
        String::from_utf8(line)
            .map(|text| text.trim().to_owned())
            .map_err(|_| Failure::usage("standard input is not UTF-8 text"))
    }
}

fn output_failed(error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::closed_pipe()
    } else {
        Failure::new(Exit::Local, format!("cannot write the result: {error}"))
    }
}

/// `text` without characters that steer a terminal or turn the direction of writing. They are
/// shown as JSON shows them (`\u001b`), so JSON stays JSON.
pub(crate) fn neutralize(text: &str) -> Cow<'_, str> {
    let mut safe: Option<String> = None;
    let mut done = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if is_harmless(character, next) {
            continue;
        }
        let target = safe.get_or_insert_default();
        target.push_str(text.get(done..index).unwrap_or_default());
        let _ = write!(target, "\\u{:04x}", u32::from(character));
        done = index + character.len_utf8();
    }
    match safe {
        None => Cow::Borrowed(text),
        Some(mut target) => {
            target.push_str(text.get(done..).unwrap_or_default());
            Cow::Owned(target)
        }
    }
}

fn is_harmless(character: char, next: Option<char>) -> bool {
    match character {
        '\n' | '\t' => true,
        '\r' => next == Some('\n'),
        '\u{200e}' | '\u{200f}' | '\u{061c}' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        other => !other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_instead() {
        let cases = [
            ("plain\ttext\nnext\r\n", "plain\ttext\nnext\r\n"),
            ("\u{1b}[2Jgone", "\\u001b[2Jgone"),
            ("a\rb", "a\\u000db"),
            ("csi \u{9b}1m", "csi \\u009b1m"),
            ("abc\u{202e}def", "abc\\u202edef"),
            ("\u{7}", "\\u0007"),
            ("äöü 漢字", "äöü 漢字"),
        ];
        for (text, shown) in cases {
            assert_eq!(neutralize(text), shown);
        }
    }
}
