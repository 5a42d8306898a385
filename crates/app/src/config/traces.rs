//! Where traces of requests go.

use std::path::PathBuf;

use clap::Command;
use keysherd_base::SecretString;

use super::settings::{Settings, option, wrong};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Requests of a million that are looked at unless told otherwise.
const PER_MILLION_DEFAULT: u32 = 10_000;

/// Where traces go, and of how many requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceSettings {
    /// The collector.
    pub(crate) url: String,
    /// Headers for it.
    headers: Option<PassphraseSource>,
    /// Whom to trust to be the collector, in PEM; `None`: whom this machine trusts.
    pub(crate) ca: Option<PathBuf>,
    /// Requests of a million that are looked at.
    pub(crate) per_million: u32,
}

/// The options.
pub(super) fn traces(command: Command) -> Command {
    command
        .arg(option(
            "traces-url",
            "URL",
            "KEYSHERD_TRACES_URL",
            "OpenTelemetry collector that gets traces over OTLP/HTTP [default: none]",
        ))
        .arg(option(
            "traces-headers-file",
            "FILE",
            "KEYSHERD_TRACES_HEADERS_FILE",
            "Headers for the collector, such as api-key=x,tenant=y; mode 0600",
        ))
        .arg(option(
            "traces-ca",
            "FILE",
            "KEYSHERD_TRACES_CA",
            "Authority of the collector, PEM [default: those of this machine]",
        ))
        .arg(option(
            "traces-ratio",
            "RATIO",
            "KEYSHERD_TRACES_RATIO",
            "Share of requests that are traced, from 0 to 1 [default: 0.01]",
        ))
}

impl TraceSettings {
    /// Reads the settings; `None` without a collector.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(settings: &Settings<'_>) -> Result<Option<Self>, Exit> {
        let Some(url) = settings.text("traces-url")? else { return Ok(None) };
        let per_million = match settings.text("traces-ratio")? {
            None => PER_MILLION_DEFAULT,
            Some(text) => {
                let allowed = "a number from 0 to 1 with at most six decimals, such as 0.01";
                per_million(&text).ok_or_else(|| wrong("traces-ratio", &text, allowed))?
            }
        };
        let headers = settings.text("traces-headers-file")?;
        let headers = headers.map(|file| PassphraseSource::File(PathBuf::from(file)));
        let ca = settings.text("traces-ca")?.map(PathBuf::from);
        Ok(Some(Self { url, headers, ca, per_million }))
    }

    /// What has to be readable.
    pub(super) fn paths(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let headers = self.headers.as_ref().and_then(|headers| headers.path(env));
        headers.into_iter().chain(self.ca.clone()).collect()
    }

    /// The headers.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when they cannot be read.
    pub(crate) fn headers(&self) -> Result<SecretString, Exit> {
        let none = || SecretString::new(String::new());
        self.headers.as_ref().map_or_else(|| Ok(none()), |headers| headers.read(&crate::env))
    }
}

/// Without floats, so that what is written is what counts.
fn per_million(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 1 || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let parts: u32 = format!("{whole}{decimals:0<6}").parse().ok()?;
    (parts <= 1_000_000).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_read_as_it_is_written() {
        for (text, parts) in [("0", 0), ("1", 1_000_000), ("0.01", 10_000), ("0.000001", 1)] {
            assert_eq!(per_million(text), Some(parts), "{text}");
        }
        for text in ["", ".", "2", "1.000001", "-0.1", "+1", "0.0000001", "1e-3", "NaN", "0,5"] {
            assert_eq!(per_million(text), None, "{text}");
        }
    }
}
