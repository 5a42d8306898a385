//! Other programs: run, watched, and their output read.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};

/// What a program printed on standard output, and how it ended.
pub(crate) struct Finished {
    /// Its standard output, also when it failed.
    pub(crate) text: String,
    /// Whether its exit code was 0.
    pub(crate) success: bool,
}

/// Runs `command`; shows its output while it runs and returns a copy of it.
///
/// # Errors
/// When the program cannot be started or its output not be read.
pub(crate) fn watch(command: &mut Command) -> Result<Finished, String> {
    let name = name_of(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(|error| format!("{name}: {error}"))? > 0 {
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(&line).and_then(|()| out.flush());
            text.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    Ok(Finished { text, success: status.success() })
}

/// Runs `command` with its output shown.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = name_of(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    ended(&name, status)
}

/// Runs `command` and returns what it printed on standard output.
///
/// # Errors
/// When it cannot be started or does not exit with 0; the text has its standard error.
pub(crate) fn read(command: &mut Command) -> Result<String, String> {
    let name = name_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ended(&name, output.status).map_err(|error| format!("{error}\n{}", complaint.trim_end()))?;
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{name} printed something that is no text"))
}

/// Whether `command` can be started and exits with 0; its output is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn ended(name: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    Err(match status.code() {
        Some(code) => format!("{name} exited with {code}"),
        None => format!("{name} was killed"),
    })
}

fn name_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_exit_code() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error, "sh -c exit 3 exited with 3");
        assert!(
            read(Command::new("sh").args(["-c", "echo no >&2; exit 1"]))
                .unwrap_err()
                .ends_with("no")
        );
        assert!(!works(&mut Command::new("surely-no-program-of-this-name")));
    }

    #[test]
    fn output_is_read_whole() {
        let finished = watch(Command::new("sh").args(["-c", "echo a; printf b; exit 1"])).unwrap();
        assert_eq!((finished.text.as_str(), finished.success), ("a\nb", false));
    }
}
