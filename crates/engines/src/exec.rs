//! Credentials for clusters, as kubectl takes them (client.authentication.k8s.io/v1beta1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What callers are told of a cluster.
pub(crate) struct Cluster<'a> {
    pub(crate) name: &'a str,
    pub(crate) endpoint: &'a str,
    /// The authorities that vouch for it, as PEM.
    pub(crate) authority: Option<&'a str>,
    /// Whom they sign in as.
    pub(crate) user: &'a str,
}

/// A token for a cluster, with when it ends (RFC 3339).
pub(crate) fn credential(token: &Value, ends: &Value, cluster: &Cluster<'_>) -> Map<String, Value> {
    let mut value = Map::new();
    let mut put = |name: &str, what: Value| value.insert(name.to_owned(), what);
    put("apiVersion", "client.authentication.k8s.io/v1beta1".into());
    put("kind", "ExecCredential".into());
    put("status", json!({"token": token, "expirationTimestamp": ends}));
    put("clusterName", cluster.name.into());
    put("clusterEndpoint", cluster.endpoint.trim_end_matches('/').into());
    put("clusterCACertificate", STANDARD.encode(cluster.authority.unwrap_or_default()).into());
    put("clusterUsername", cluster.user.into());
    value
}
