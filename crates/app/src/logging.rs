//! The server's own log: to standard error, filtered by `KEYSHERD_LOG` (default `info`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// What is logged unless told otherwise. The TLS library warns about every client that names an IP
/// address in its handshake, which is common and harmless. LDAP's driver warns with all of each
/// answer that nobody waits for: a directory would fill the log, and people's names get into it.
const DEFAULT_FILTER: &str = "info,rustls=error,ldap3=error";

/// Starts logging. Secrets never get here: they have no `Debug` and no `Display`.
pub(crate) fn start(json: bool) {
    let filter =
        EnvFilter::try_from_env("KEYSHERD_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let colors = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors);
    // A second start in one process keeps the first subscriber.
    let _already = if json { builder.json().try_init() } else { builder.try_init() };
}
