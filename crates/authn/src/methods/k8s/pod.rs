//! The pod that a gateway runs in: the API server of its cluster, and its service account there.
//!
//! The account is the operator's, and whoever writes a configuration may be somebody else. So its
//! token is shown to the pod's own API server only, over the pod's own authority, and a
//! configuration can do no more than agree with that.

use std::path::Path;

use keysherd_base::{Fault, Secret, SecretString};
use reqwest::Url;

#[cfg(test)]
mod tests;

/// Where a pod finds its own service account.
const OWN_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Names of the API server within each cluster. They are understood, and never looked up.
const NAMES: [&str; 4] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
/// The port of those names.
const NAMES_PORT: u16 = 443;

/// Where the API server of this pod's cluster is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pod {
    url: Url,
}

impl Pod {
    /// The pod that this process runs in, as Kubernetes tells every container; `None` elsewhere.
    pub(super) fn of_this_process() -> Option<Self> {
        let env = |name: &str| std::env::var(name).ok();
        Self::at(&env("KUBERNETES_SERVICE_HOST")?, &env("KUBERNETES_SERVICE_PORT")?)
    }

    /// The pod whose environment has this host and port.
    pub(super) fn at(host: &str, port: &str) -> Option<Self> {
        let port: u16 = port.parse().ok()?;
        let url = if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        };
        let url = Url::parse(&url).ok()?;
        (url.path() == "/" && url.username().is_empty()).then_some(Self { url })
    }

    /// The address of the API server, if it is what a configuration means by `given`.
    pub(super) fn api_server(&self, given: &Url) -> Option<Url> {
        let (host, port) = (given.host_str()?, given.port_or_known_default()?);
        let own_port = self.url.port_or_known_default()?;
        let named = NAMES.contains(&host) && (port == NAMES_PORT || port == own_port);
        let same = self.url.host_str() == Some(host) && port == own_port;
        ((named || same) && given.path() == "/").then(|| self.url.clone())
    }
}

/// The service account of the pod that this gateway is.
pub(super) struct OwnAccount {
    pub(super) token: SecretString,
    pub(super) ca: String,
}

impl OwnAccount {
    /// Reads it anew each time, because the token is replaced every hour. A configuration that
    /// names another authority than the pod's is refused.
    ///
    /// # Errors
    /// [`Fault::unavailable`].
    pub(super) fn read(authority: Option<&str>) -> Result<Self, Fault> {
        Self::read_in(Path::new(OWN_ACCOUNT), authority)
    }

    fn read_in(dir: &Path, authority: Option<&str>) -> Result<Self, Fault> {
        let read = |name: &str| {
            std::fs::read_to_string(dir.join(name)).map_err(|error| {
                Fault::unavailable(
                    "this gateway's own service account cannot be read; see use-gw-service-account",
                )
                .with_private(format!("{}: {error}", dir.join(name).display()))
            })
        };
        let ca = read("ca.crt")?;
        if authority.is_some_and(|given| !is_same_text(given, &ca)) {
            return Err(Fault::unavailable(
                "the configuration names another authority than that of this gateway's own \
                 cluster; use-gw-service-account needs no k8s-ca-cert",
            ));
        }
        let token = Secret::new(read("token")?.trim().to_owned());
        Ok(Self { token, ca })
    }
}

/// Whether two PEM texts are the same but for where their lines end.
fn is_same_text(one: &str, other: &str) -> bool {
    one.split_whitespace().flat_map(str::chars).eq(other.split_whitespace().flat_map(str::chars))
}
