//! How a call can fail, and what the person who made it can do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A call that did not end in an answer of success.
///
/// `Display` says what failed; [`ClientError::advice`] says what to check. Neither has secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The address of the server is not usable.
    BadUrl {
        /// As written, without credentials.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// The name of the command is not one.
    BadCommand,
    /// The body is neither an object nor an array of JSON.
    BadBody,
    /// The file of trusted certificates is not usable.
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The HTTP client could not be built; for example, the system has no trusted certificates.
    Setup {
        /// Why not.
        why: String,
    },
    /// Nobody answers there. Nothing was sent.
    Connect {
        /// Base URL.
        url: String,
        /// What the system said.
        why: String,
    },
    /// Somebody answers, but the TLS handshake failed for another reason than trust. Nothing was
    /// sent.
    Handshake {
        /// Base URL.
        url: String,
        /// What the TLS library said.
        why: String,
    },
    /// The server's certificate is not trusted. Nothing was sent.
    Untrusted {
        /// Base URL.
        url: String,
        /// What the TLS library said.
        why: String,
        /// The file of trusted certificates that was used, if any.
        ca_file: Option<PathBuf>,
    },
    /// No whole answer in time. The command may have run.
    Timeout {
        /// Base URL.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer did. The command may have run.
    Interrupted {
        /// Base URL.
        url: String,
        /// What the system said.
        why: String,
    },
    /// The server points elsewhere. A token is never sent to where a server points.
    Redirected {
        /// Base URL.
        url: String,
        /// Where it points.
        to: String,
    },
    /// The server refused the command.
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's text.
        text: String,
        /// The id of the request in the server's log.
        request_id: Option<String>,
    },
    /// The answer is not JSON, so no Keysherd server gave it.
    NotJson {
        /// Base URL.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is larger than this client reads.
    TooLarge {
        /// In bytes.
        limit: usize,
    },
}

impl ClientError {
    /// The HTTP status, when the server answered.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::NotJson { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What to check or to do next.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::BadUrl { .. } => {
                Some("write it as https://<host>:<port>, with or without /api/v2".to_owned())
            }
            Self::CaFile { .. } => {
                Some("give a PEM file that this user may read, such as ca.pem".to_owned())
            }
            Self::Connect { url, .. } => Some(format!(
                "is the server running, and is {url} its address? A firewall or a proxy may also \
                 be in the way"
            )),
            Self::Handshake { .. } => {
                Some("does the server speak TLS on this port, in version 1.2 or newer?".to_owned())
            }
            Self::Untrusted { ca_file, .. } => Some(untrusted_advice(ca_file.is_some())),
            Self::Timeout { .. } | Self::Interrupted { .. } => {
                Some("the command may have run: look before sending it again".to_owned())
            }
            Self::Redirected { .. } => Some("use the address it points to, if it is right".into()),
            Self::NotJson { url, .. } => Some(format!(
                "is {url} the address of a Keysherd server, or of something before it?"
            )),
            Self::TooLarge { .. } => Some("ask for less, for example page by page".to_owned()),
            Self::Setup { .. } => {
                Some("without certificates of the system, give a file of them".to_owned())
            }
            Self::BadCommand | Self::BadBody | Self::Refused { .. } => None,
        }
    }

    /// Sorts an error of the HTTP library.
    pub(crate) fn from_transport(error: &reqwest::Error, at: &Place<'_>) -> Self {
        let url = at.url.to_owned();
        let mut tls = None;
        let mut innermost = String::new();
        walk(error, &mut |cause| {
            if let Some(found) = cause.downcast_ref::<rustls::Error>() {
                tls = Some(found.clone());
            }
            innermost = cause.to_string();
        });
        match tls {
            Some(rustls::Error::InvalidCertificate(reason)) => Self::Untrusted {
                url,
                why: certificate_text(&reason),
                ca_file: at.ca_file.map(Into::into),
            },
            Some(other) if error.is_connect() => Self::Handshake { url, why: other.to_string() },
            _ if error.is_timeout() => Self::Timeout { url, after: at.timeout },
            _ if error.is_connect() => Self::Connect { url, why: innermost },
            _ if error.is_builder() => Self::Setup { why: innermost },
            _ => Self::Interrupted { url, why: innermost },
        }
    }
}

/// Where a call went, for its error.
pub(crate) struct Place<'a> {
    pub(crate) url: &'a str,
    pub(crate) ca_file: Option<&'a std::path::Path>,
    pub(crate) timeout: Duration,
}

/// Visits an error and everything below it, also what an [`io::Error`] wraps, which `source`
/// skips.
fn walk(error: &(dyn Error + 'static), visit: &mut dyn FnMut(&(dyn Error + 'static))) {
    visit(error);
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    if let Some(inner) = wrapped {
        walk(inner, visit);
    } else if let Some(source) = error.source() {
        walk(source, visit);
    }
}

fn certificate_text(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Bad;
    match reason {
        Bad::UnknownIssuer => "it was issued by an authority that is not trusted".to_owned(),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "it was issued for another host name".to_owned()
        }
        Bad::Expired | Bad::ExpiredContext { .. } => "it has expired".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        other => other.to_string(),
    }
}

fn untrusted_advice(has_file: bool) -> String {
    if has_file {
        "the file of trusted certificates must hold the CA that issued the server's certificate; \
         pass the right one with --ca-file, or run 'keysherd configure' again"
            .to_owned()
    } else {
        "if the server has a CA of its own, pass its certificate: --ca-file \
         <data directory>/ca.pem, or KEYSHERD_CA_FILE, or 'keysherd configure --ca-file' once"
            .to_owned()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl { url, why } => write!(f, "'{url}' is not the address of a server: {why}"),
            Self::BadCommand => f.write_str("the name of the command is malformed"),
            Self::BadBody => f.write_str("the body of a call must be a JSON object or array"),
            Self::CaFile { path, why } => {
                write!(f, "cannot use the CA file {}: {why}", path.display())
            }
            Self::Setup { why } => write!(f, "cannot prepare a connection: {why}"),
            Self::Connect { url, why } => write!(f, "cannot connect to {url}: {why}"),
            Self::Handshake { url, why } => write!(f, "no TLS connection to {url}: {why}"),
            Self::Untrusted { url, why, ca_file } => {
                write!(f, "the certificate of {url} is not trusted: {why}")?;
                match ca_file {
                    Some(path) => write!(f, " (trusted: {})", path.display()),
                    None => f.write_str(" (trusted: the certificates of this system)"),
                }
            }
            Self::Timeout { url, after } => {
                write!(f, "no answer from {url} within {} s", after.as_secs())
            }
            Self::Interrupted { url, why } => {
                write!(f, "the connection to {url} was lost: {why}")
            }
            Self::Redirected { url, to } => write!(f, "{url} points to {to} instead of answering"),
            Self::Refused { text, .. } => f.write_str(text),
            Self::NotJson { url, status } => {
                write!(f, "{url} answered with status {status} and no JSON")
            }
            Self::TooLarge { limit } => {
                write!(f, "the answer is larger than {} MiB", limit / (1024 * 1024))
            }
        }
    }
}

impl Error for ClientError {}
