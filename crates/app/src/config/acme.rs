//! The authority that issues the certificate for clients (ACME).

use std::path::PathBuf;

use clap::Command;

use super::settings::{Settings, option, options, switch, wrong};
use crate::exit::Exit;

/// Most names of one certificate.
const NAMES_MAX: usize = 20;

/// Who issues the certificate for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcmeSettings {
    /// The URL of its directory.
    pub(crate) directory: String,
    /// The names that clients use.
    pub(crate) names: Vec<String>,
    /// Where it finds the operator.
    pub(crate) contact: Option<String>,
    /// Who its own server is believed by, in PEM; `None`: whom this machine trusts.
    pub(crate) ca: Option<PathBuf>,
}

/// The options.
pub(super) fn acme(command: Command) -> Command {
    command
        .arg(option(
            "acme-directory",
            "URL",
            "KEYSHERD_ACME_DIRECTORY",
            "ACME authority that issues the certificate for clients [default: none]",
        ))
        .arg(options(
            "acme-name",
            "NAME",
            "A DNS name of that certificate, at which the authority reaches this listener on port \
             443; repeatable",
        ))
        .arg(switch("acme-agree-to-terms", "Agree to the terms of service of that authority"))
        .arg(option(
            "acme-contact",
            "URL",
            "KEYSHERD_ACME_CONTACT",
            "Where the authority finds you, such as mailto:ops@example.com",
        ))
        .arg(option(
            "acme-ca",
            "FILE",
            "KEYSHERD_ACME_CA",
            "Authority of the ACME server's own certificate, PEM [default: those of this machine]",
        ))
}

impl AcmeSettings {
    /// Reads the settings; `None` without an authority.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(settings: &Settings<'_>) -> Result<Option<Self>, Exit> {
        let names = settings.texts("acme-name")?;
        let agreed = settings.is_set("acme-agree-to-terms")?;
        let Some(directory) = settings.text("acme-directory")? else {
            return match names.first() {
                None => Ok(None),
                Some(name) => Err(Exit::Configuration(format!(
                    "acme-name is '{name}' without acme-directory; name the authority, too"
                ))),
            };
        };
        let plain = |b: u8| b.is_ascii_graphic();
        if !directory.starts_with("https://") || !directory.bytes().all(plain) {
            let what = "the https URL of an ACME directory";
            return Err(wrong("acme-directory", &directory, what));
        }
        if !agreed {
            return Err(Exit::Configuration(format!(
                "acme-directory is '{directory}' without acme-agree-to-terms; read the terms of \
                 service of that authority, and say that you agree"
            )));
        }
        if !(1..=NAMES_MAX).contains(&names.len()) {
            let what = format!("1 to {NAMES_MAX} DNS names; give each with --acme-name");
            return Err(wrong("acme-name", &names.join(","), &what));
        }
        if let Some(name) = names.iter().find(|name| !is_dns_name(name)) {
            return Err(wrong("acme-name", name, "a DNS name, such as gw.example.com"));
        }
        let contact = settings.text("acme-contact")?;
        if let Some(other) = contact.as_deref().filter(|url| !url.starts_with("mailto:")) {
            return Err(wrong("acme-contact", other, "mailto: and an address"));
        }
        let ca = settings.text("acme-ca")?.map(PathBuf::from);
        Ok(Some(Self { directory, names, contact, ca }))
    }
}

/// Wildcards and addresses cannot be proven this way.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_an_authority_can_look_at_are_taken() {
        for name in ["gw.example.com", "a-1.b", "xn--p1ai.example"] {
            assert!(is_dns_name(name), "{name}");
        }
        for name in ["", "localhost", "*.example.com", "10.0.0.1", "a..b", "-a.b", "a b.c", "A.b"] {
            assert!(!is_dns_name(name), "{name}");
        }
    }
}
