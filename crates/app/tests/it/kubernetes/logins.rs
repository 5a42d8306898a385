//! Logins with tokens of service accounts, whatever the cluster is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::{Api, Server, Site};

/// A server with the method `/k8s/apps`.
pub(super) struct Logins {
    pub(super) server: Server,
    pub(super) admin: Api,
    pub(super) access_id: String,
    pub(super) signing_key: String,
    _site: Site,
}

/// Where reviews are asked for, and with which token.
pub(super) struct Cluster<'a> {
    pub(super) url: &'a str,
    pub(super) ca_pem: &'a str,
    pub(super) reviewer: Option<&'a str>,
}

impl Logins {
    /// A method with these arguments.
    pub(super) fn new(method: Value) -> Self {
        let site = Site::new();
        let server = site.start();
        Self::at(site, server, method)
    }

    /// The same at a server that runs already.
    pub(super) fn at(site: Site, server: Server, mut method: Value) -> Self {
        let admin = server.admin();
        method["name"] = "/k8s/apps".into();
        let made = admin.ok("auth-method-create-k8s", method);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (access_id, signing_key) = (text("access_id"), text("prv_key"));
        Self { server, admin, access_id, signing_key, _site: site }
    }

    /// The gateway's configuration `name` for a cluster.
    pub(super) fn config(&self, name: &str, cluster: &Cluster<'_>) -> Value {
        let mut config = json!({
            "name": name, "access-id": self.access_id, "signing-key": self.signing_key,
            "k8s-host": cluster.url, "k8s-ca-cert": STANDARD.encode(cluster.ca_pem),
        });
        if let Some(reviewer) = cluster.reviewer {
            config["token-reviewer-jwt"] = reviewer.into();
        }
        config
    }

    /// The arguments of a login over the configuration `prod`.
    pub(super) fn login(&self, token: &str) -> Value {
        json!({
            "access-type": "k8s", "access-id": self.access_id, "k8s-auth-config-name": "prod",
            "k8s-service-account-token": token,
        })
    }

    /// Whoever signs in with `token`.
    #[track_caller]
    pub(super) fn enter(&self, token: &str) -> Api {
        let answer = self.server.nobody().ok("auth", self.login(token));
        self.server.nobody().with_token(answer["token"].as_str().unwrap())
    }

    /// The claims of whoever signs in with `token`.
    #[track_caller]
    pub(super) fn claims(&self, token: &str) -> Value {
        self.enter(token).ok("describe-sub-claims", json!({}))["sub_claims"].take()
    }

    /// Demands that `token` is refused with `status`; gives the error's text.
    #[track_caller]
    pub(super) fn refused(&self, status: u16, token: &str) -> String {
        self.server.nobody().refused(status, "auth", self.login(token))
    }
}
