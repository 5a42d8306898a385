//! Lines for the person who measures: results on standard output, progress on standard error.

use std::io::Write as _;

/// A result. A closed pipe is not an error of the measurement.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Progress, or what went wrong.
pub(crate) fn note(text: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}
