//! How a control plane reaches the identity providers of its auth methods.

use std::io::Read as _;
use std::path::Path;

use clap::Command;
use keysherd_control::{Web, WebSettings};
use keysherd_egress::Egress;

use super::settings::{Settings, option, switch, wrong};
use crate::exit::Exit;

/// Largest file of certificates, in bytes; all public roots together have about 250 KiB.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The options of roles that have a control plane inside.
pub(super) fn identity(command: Command) -> Command {
    command
        .arg(option(
            "identity-ca-file",
            "FILE",
            "KEYSHERD_IDENTITY_CA_FILE",
            "PEM file of certificates that identity providers may have beside public ones",
        ))
        .arg(
            switch(
                "identity-loopback-http",
                "Ask identity providers on this very machine without TLS: for trying things out",
            )
            .env("KEYSHERD_IDENTITY_LOOPBACK_HTTP"),
        )
        .arg(option(
            "google-keys-uri",
            "URL",
            "KEYSHERD_GOOGLE_KEYS_URI",
            "Where the keys of Google's ID tokens are, if not at www.googleapis.com",
        ))
        .arg(option(
            "oci-identity-url",
            "URL",
            "KEYSHERD_OCI_IDENTITY_URL",
            "Oracle's identity service, if not at identity.REGION.oraclecloud.com",
        ))
}

/// Reads the settings, and the file they name: later nothing outside the data directory is read.
///
/// # Errors
/// [`Exit::Configuration`] names the setting, its value and what is allowed.
pub(super) fn load(settings: &Settings<'_>, egress: &Egress) -> Result<WebSettings, Exit> {
    let file = settings.text("identity-ca-file")?;
    let found = WebSettings {
        extra_ca_pem: file.as_deref().map(Path::new).map(read).transpose()?,
        loopback_http: settings.is_set("identity-loopback-http")?,
        google_keys_uri: settings.text("google-keys-uri")?,
        oci_identity_url: settings.text("oci-identity-url")?,
        egress: egress.clone(),
    };
    let Err(fault) = Web::new(&found) else { return Ok(found) };
    for name in ["google-keys-uri", "oci-identity-url"] {
        let url = settings.text(name)?.unwrap_or_default();
        // Any of the addresses: what is good for one is good for all.
        let alone = WebSettings { google_keys_uri: Some(url.clone()), ..WebSettings::default() };
        if !url.is_empty() && Web::new(&alone).is_err() {
            return Err(wrong(name, &url, "an address that begins with https://"));
        }
    }
    let file = file.unwrap_or_default();
    Err(Exit::Configuration(format!("identity-ca-file is '{file}': {fault}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Exit> {
    let unreadable = |error: std::io::Error| {
        Exit::Configuration(format!("identity-ca-file: cannot read {}: {error}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut pem = Vec::new();
    file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if u64::try_from(pem.len()).is_ok_and(|length| length > CA_FILE_BYTES_MAX) {
        let path = path.display().to_string();
        return Err(wrong("identity-ca-file", &path, "a file of at most 4 MiB"));
    }
    Ok(pem)
}
