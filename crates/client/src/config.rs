//! What a client is made of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Certificate;

use crate::error::ClientError;

/// Largest file of trusted certificates; a bundle of all public roots has about 250 KiB.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which certificates a client trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the operating system.
    #[default]
    System,
    /// Only those in this PEM file: the usual choice for a server with a CA of its own.
    Only(PathBuf),
    /// Those of the operating system and those in this PEM file.
    Also(PathBuf),
}

impl Trust {
    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::System => None,
            Self::Only(path) | Self::Also(path) => Some(path),
        }
    }
}

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Base URL in any accepted form; see [`crate::BaseUrl`].
    pub url: String,
    /// Trusted certificates.
    pub trust: Trust,
    /// Time for one whole call, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// `User-Agent` of each request, such as `keysherd-cli/1.0.0`.
    pub user_agent: String,
}

impl ClientConfig {
    /// Time for one call when nobody says otherwise. Engines that create accounts on a target
    /// answer within a minute.
    pub const TIMEOUT: Duration = Duration::from_secs(90);

    /// A client of the command line in version `version`.
    pub fn command_line(url: impl Into<String>, trust: Trust, version: &str) -> Self {
        Self {
            url: url.into(),
            trust,
            timeout: Self::TIMEOUT,
            user_agent: format!("keysherd-cli/{version}"),
        }
    }
}

/// The certificates in a PEM file.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let failed = |why: String| ClientError::CaFile { path: path.to_owned(), why };
    let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut pem = Vec::new();
    file.take(CA_FILE_BYTES_MAX + 1)
        .read_to_end(&mut pem)
        .map_err(|error| failed(error.to_string()))?;
    if u64::try_from(pem.len()).is_ok_and(|length| length > CA_FILE_BYTES_MAX) {
        return Err(failed("it is larger than 4 MiB".to_owned()));
    }
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|_| failed("it is not PEM text of certificates".to_owned()))?;
    if certificates.is_empty() {
        return Err(failed("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}
