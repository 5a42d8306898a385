//! The certificate that clients of this gateway see, as far as administrators may set it.

use keysherd_base::{AccessId, AccountId, Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

/// What the certificate's configuration is kept as.
pub const CERTIFICATE_CONFIG: &str = "tls";

/// What an administrator set.
pub struct CertificateWish {
    /// The chain, leaf first, in PEM; `None`: the gateway makes its certificate itself.
    pub chain: Option<String>,
    /// Its private key in PEM.
    pub key: Option<SecretString>,
    /// Days before its end at which the log says so.
    pub warn_days: Vec<u32>,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    chain: Option<String>,
    key: Option<String>,
    warn_days: Vec<u32>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.key.take().map(Secret::new));
    }
}

impl CertificateWish {
    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretString, Fault> {
        let kept = Kept {
            chain: self.chain.clone(),
            key: self.key.as_ref().map(|key| key.expose().clone()),
            warn_days: self.warn_days.clone(),
        };
        serde_json::to_string(&kept).map(Secret::new).map_err(Fault::internal)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] when it is something else.
    pub fn from_json(text: &SecretString) -> Result<Self, Fault> {
        let mut kept: Kept = serde_json::from_str(text.expose()).map_err(Fault::internal)?;
        Ok(Self {
            chain: kept.chain.take(),
            key: kept.key.take().map(Secret::new),
            warn_days: std::mem::take(&mut kept.warn_days),
        })
    }
}

/// The certificate of a gateway.
pub trait PublicCertificate: Send + Sync {
    /// That administrators of `account` may set it; answers with the cluster's auth method, under
    /// which it is kept.
    ///
    /// # Errors
    /// [`Fault::forbidden`] says why they may not, [`Fault::unavailable`] that it is not known yet.
    fn set_by(&self, account: AccountId) -> Result<AccessId, Fault>;

    /// Whether it can be used.
    ///
    /// # Errors
    /// [`Fault::bad_request`] says what is wrong with it.
    fn check(&self, wish: &CertificateWish) -> Result<(), Fault>;

    /// What was set is another one now; it is taken up before this returns.
    fn changed(&self);
}

/// A gateway whose certificate nobody sets.
#[derive(Debug)]
pub struct NoCertificate;

impl PublicCertificate for NoCertificate {
    fn set_by(&self, _: AccountId) -> Result<AccessId, Fault> {
        Err(Fault::forbidden("the certificate of this gateway cannot be set"))
    }

    fn check(&self, _: &CertificateWish) -> Result<(), Fault> {
        Err(Fault::forbidden("the certificate of this gateway cannot be set"))
    }

    fn changed(&self) {}
}
