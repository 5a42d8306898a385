//! How a gateway reaches a cluster: what its commands keep, and the login reads.

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_egress::Egress;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::pod::Pod;
use crate::outward::{Trust, client};

#[cfg(test)]
mod tests;

/// How the API server knows the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// The cluster's own API server.
    NativeK8s,
    /// Rancher in front of it.
    Rancher,
}

/// A gateway's configuration of one cluster. It has secrets: never shown, kept sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K8sConfig {
    /// Tells configurations apart that had the same name one after the other.
    pub id: String,
    /// The API server, `https://host:port`.
    pub host: String,
    /// What answers there.
    pub api: Api,
    /// Rancher's name of the cluster.
    pub rancher_cluster_id: Option<String>,
    /// Rancher's key.
    pub rancher_api_key: Option<String>,
    /// Certificates of the cluster's authority in PEM; `None`: those of this machine.
    pub ca: Option<String>,
    /// The token that may ask for reviews; `None`: the one that is reviewed.
    pub reviewer: Option<String>,
    /// Client certificate in PEM.
    pub client_certificate: Option<String>,
    /// Its key in PEM.
    pub client_key: Option<String>,
    /// The issuer that tokens must name; `None`: any, as the API server decides.
    pub issuer: Option<String>,
    /// Whether the gateway's own service account asks for reviews.
    pub own_service_account: bool,
    /// Longest life of an assertion, in seconds; they live a minute at most.
    pub assertion_seconds: u32,
    /// The private half of the auth method's key, in PEM.
    pub signing_key: String,
}

impl K8sConfig {
    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`].
    pub fn from_json(text: &SecretString) -> Result<Self, Fault> {
        // The error's text could quote a value.
        serde_json::from_str(text.expose())
            .map_err(|_| Fault::internal("a configuration of a cluster cannot be read"))
    }

    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretString, Fault> {
        serde_json::to_string(self).map(Secret::new).map_err(Fault::internal)
    }

    /// Demands a configuration that a cluster could be asked with.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn check(&self) -> Result<(), Fault> {
        self.review_url()?;
        if self.api == Api::Rancher && self.rancher_api_key.is_none() {
            return Err(Fault::bad_request(
                "missing required field 'rancher-api-key' beside cluster-api-type rancher",
            ));
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return Err(Fault::bad_request(
                "k8s-client-certificate and k8s-client-key go together; give both or neither",
            ));
        }
        client(&self.trust(), &Egress::default()).map(drop)
    }

    /// Where reviews are asked for: with the gateway's own service account, nowhere but at the API
    /// server of the pod that this process runs in.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn review_url(&self) -> Result<Url, Fault> {
        self.review_url_in(Pod::of_this_process().as_ref())
    }

    fn review_url_in(&self, pod: Option<&Pod>) -> Result<Url, Fault> {
        let bad = || {
            Fault::bad_request(
                "invalid value of 'k8s-host': it must be the address of the API server, such as \
                 https://10.0.0.1:6443",
            )
        };
        let mut url = Url::parse(&self.host).map_err(|_| bad())?;
        let plain = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "https" || url.host().is_none() || !plain || !bare {
            return Err(bad());
        }
        if self.own_service_account {
            url = self.of_own_cluster(&url, pod)?;
        }
        let review = ["apis", "authentication.k8s.io", "v1", "tokenreviews"];
        let mut segments = url.path_segments_mut().map_err(|()| bad())?;
        segments.pop_if_empty();
        if self.api == Api::Rancher {
            let cluster = self.rancher_cluster_id.as_deref().ok_or_else(|| {
                Fault::bad_request(
                    "missing required field 'rancher-cluster-id' beside cluster-api-type rancher",
                )
            })?;
            segments.extend(["k8s", "clusters", cluster]);
        }
        segments.extend(review);
        drop(segments);
        Ok(url)
    }

    /// The address of the API server, where the gateway's own service account is known.
    fn of_own_cluster(&self, given: &Url, pod: Option<&Pod>) -> Result<Url, Fault> {
        let pod = pod.ok_or_else(|| {
            Fault::bad_request(
                "invalid value of 'use-gw-service-account': this gateway runs in no pod \
                 (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say so); give a \
                 token-reviewer-jwt instead",
            )
        })?;
        let own = pod.api_server(given).filter(|_| self.api == Api::NativeK8s);
        own.ok_or_else(|| {
            Fault::bad_request(
                "invalid value of 'k8s-host': with use-gw-service-account it must be the API \
                 server of the gateway's own pod, such as https://kubernetes.default.svc, as that \
                 account is shown to nobody else; give a token-reviewer-jwt for other clusters",
            )
        })
    }

    /// What a connection is made with.
    pub(super) fn trust(&self) -> Trust<'_> {
        let own = self.client_certificate.as_deref().zip(self.client_key.as_deref());
        let own = own.map(|(certificate, key)| Secret::new([certificate, "\n", key].concat()));
        Trust { ca: self.ca.as_deref(), own }
    }
}

impl Drop for K8sConfig {
    fn drop(&mut self) {
        let secrets = [
            self.rancher_api_key.take(),
            self.reviewer.take(),
            self.client_key.take(),
            Some(std::mem::take(&mut self.signing_key)),
        ];
        secrets.into_iter().flatten().for_each(|text| drop(Secret::new(text)));
    }
}

impl std::fmt::Debug for K8sConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("K8sConfig").field("host", &self.host).finish_non_exhaustive()
    }
}
