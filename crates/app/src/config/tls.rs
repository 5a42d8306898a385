//! The certificate that clients see, the least TLS they may speak, and whether they show
//! certificates themselves.

use std::path::{Path, PathBuf};

use clap::Command;
use keysherd_http::TlsVersions;

use super::acme::{self, AcmeSettings};
use super::settings::{Settings, option, options, wrong};
use crate::exit::Exit;

/// How the listener for clients speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Further names and addresses for the certificate that the gateway makes itself.
    pub(crate) names: Vec<String>,
    /// The operator's own certificate.
    pub(crate) files: Option<PairFiles>,
    /// The versions that are spoken.
    pub(crate) versions: TlsVersions,
    /// Whom clients show certificates of; `None`: they are not asked.
    pub(crate) clients: Option<ClientAuthority>,
    /// Who issues the certificate, where the operator's files do not have it.
    pub(crate) acme: Option<AcmeSettings>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PairFiles {
    /// The chain, leaf first, in PEM.
    pub(crate) cert: PathBuf,
    /// The private key in PEM; not open to others.
    pub(crate) key: PathBuf,
}

/// Who issues the certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAuthority {
    /// Certificates of authorities, in PEM.
    pub(crate) file: PathBuf,
    /// Whether a client without a certificate is turned away.
    pub(crate) required: bool,
}

/// The options.
pub(super) fn tls(command: Command) -> Command {
    acme::acme(command)
        .arg(options(
            "tls-name",
            "NAME",
            "A further name or address for the certificate; repeatable",
        ))
        .arg(option(
            "tls-cert",
            "FILE",
            "KEYSHERD_TLS_CERT",
            "Certificate chain for clients, PEM; read again when it changes [default: its own]",
        ))
        .arg(option("tls-key", "FILE", "KEYSHERD_TLS_KEY", "Private key of --tls-cert, PEM"))
        .arg(option(
            "min-tls-version",
            "1.2|1.3",
            "MIN_TLS_VERSION",
            "Least TLS version of clients; with 1.2 there is no post-quantum protection for those \
             that use it [default: 1.3]",
        ))
        .arg(option(
            "client-ca",
            "FILE",
            "KEYSHERD_CLIENT_CA",
            "Authorities whose certificates clients must show, PEM; read again when it changes",
        ))
        .arg(option(
            "client-certificates",
            "required|optional",
            "KEYSHERD_CLIENT_CERTIFICATES",
            "Whether clients without a certificate of --client-ca are served [default: required]",
        ))
}

impl TlsSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(settings: &Settings<'_>) -> Result<Self, Exit> {
        let names = settings.texts("tls-name")?;
        if let Some(name) = names.iter().find(|name| !is_tls_name(name)) {
            return Err(wrong("tls-name", name, "a DNS name or an IP address"));
        }
        let path = |name| Ok::<_, Exit>(settings.text(name)?.map(PathBuf::from));
        let files = match (path("tls-cert")?, path("tls-key")?) {
            (Some(cert), Some(key)) => Some(PairFiles { cert, key }),
            (None, None) => None,
            (Some(cert), None) => return Err(alone("tls-cert", &cert, "tls-key")),
            (None, Some(key)) => return Err(alone("tls-key", &key, "tls-cert")),
        };
        let versions = match settings.text("min-tls-version")?.as_deref() {
            None | Some("1.3" | "TLSv1.3") => TlsVersions::V13,
            Some("1.2" | "TLSv1.2") => TlsVersions::V12AndV13,
            Some(other) => return Err(wrong("min-tls-version", other, "1.2 or 1.3")),
        };
        let required = match settings.text("client-certificates")?.as_deref() {
            None | Some("required") => true,
            Some("optional") => false,
            Some(other) => {
                return Err(wrong("client-certificates", other, "required or optional"));
            }
        };
        let clients = path("client-ca")?.map(|file| ClientAuthority { file, required });
        if clients.is_none() && !required {
            return Err(Exit::Configuration(
                "client-certificates is 'optional' without client-ca; name the authority too"
                    .to_owned(),
            ));
        }
        let acme = AcmeSettings::load(settings)?;
        if files.is_some() && acme.is_some() {
            return Err(Exit::Configuration(
                "tls-cert and acme-directory are both set; take one, as one certificate is shown"
                    .to_owned(),
            ));
        }
        Ok(Self { names, files, versions, clients, acme })
    }

    /// What has to be readable: directories, because files are replaced by others.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = self.files.iter().flat_map(|files| [&files.cert, &files.key]);
        let files = files.chain(self.clients.iter().map(|clients| &clients.file));
        let files = files.chain(self.acme.iter().filter_map(|acme| acme.ca.as_ref()));
        let directory = |file: &PathBuf| {
            let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
            dir.unwrap_or(Path::new(".")).to_owned()
        };
        files.map(directory).collect()
    }
}

fn alone(name: &str, file: &Path, other: &str) -> Exit {
    Exit::Configuration(format!("{name} is '{}' without {other}; give both", file.display()))
}

fn is_tls_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'*');
    (1..=253).contains(&name.len()) && name.bytes().all(allowed)
}
