//! Whom a gateway asks because of its configurations.

use keysherd_base::SecretString;
use keysherd_egress::Target;

use crate::directory::Directory;
use crate::methods::k8s::{K8S_CONFIG, K8sConfig};
use crate::methods::kerberos::{self, KERBEROS_CONFIG};
use crate::methods::ldap::{LDAP_CONFIG, LdapConfig};

/// The kinds of configurations that have a gateway connect to somebody.
pub const CONFIGURED_KINDS: [&str; 3] = [K8S_CONFIG, LDAP_CONFIG, KERBEROS_CONFIG];

/// Whom the configuration `body` of `kind` has a gateway connect to, and by which protocol:
/// `https`, `ldaps`, or `ldap`, where StartTLS follows. Nobody for other kinds, and for what
/// cannot be read.
pub fn configured_targets(kind: &str, body: &SecretString) -> Vec<(Target, &'static str)> {
    let found = match kind {
        K8S_CONFIG => K8sConfig::from_json(body).ok().and_then(|config| api_server(&config)),
        LDAP_CONFIG => {
            let config = LdapConfig::from_json(body).ok().filter(|config| config.enabled);
            config.and_then(|config| of_directory(&config.directory))
        }
        KERBEROS_CONFIG => {
            kerberos::directory_of(body).and_then(|directory| of_directory(&directory))
        }
        _ => None,
    };
    found.into_iter().collect()
}

fn api_server(config: &K8sConfig) -> Option<(Target, &'static str)> {
    let url = config.review_url().ok()?;
    Some((Target::new(url.host_str()?, url.port_or_known_default()?), "https"))
}

fn of_directory(directory: &Directory) -> Option<(Target, &'static str)> {
    let (place, asks) = directory.place()?;
    Some((place, if asks { "ldap" } else { "ldaps" }))
}
