//! How a gateway signs in as itself: as every client does, through the same use case.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_authn::BoxFuture;
use keysherd_authn::fields::{ACCESS_ID, CLOUD_ID};
use keysherd_base::{AccessId, Fault, SecretString};
use keysherd_plane::auth::LoginReply;
use keysherd_wire::Args;
use serde_json::Value;

use super::login::{ACCESS_KEY, ACCESS_TYPE, login};
use crate::ctx::Ctx;

/// What a gateway proves its access id with.
pub enum OwnCredential {
    /// The access key of an API-key method.
    AccessKey(SecretString),
    /// A client certificate and its private key, each PEM in base64.
    Certificate {
        /// The certificate.
        certificate: String,
        /// The key; it stays in this process.
        key: SecretString,
    },
    /// The identity of the machine in its cloud.
    Machine(Arc<dyn MachineIdentity>),
}

/// What proves who the machine is that a gateway runs on.
pub trait MachineIdentity: Send + Sync {
    /// The access type of the auth methods that take the proof.
    fn access_type(&self) -> &'static str;

    /// A fresh proof, as `cloud-id` takes it.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the cloud gives none.
    fn proof(&self) -> BoxFuture<'_, Result<SecretString, Fault>>;
}

impl OwnCredential {
    /// A certificate and its key, each PEM, or that in base64.
    pub fn certificate(certificate: &str, key: &SecretString) -> Self {
        let encoded = |text: &str| match text.trim_start().starts_with("-----BEGIN") {
            true => STANDARD.encode(text),
            false => text.trim().to_owned(),
        };
        let key = SecretString::new(encoded(key.expose()));
        Self::Certificate { certificate: encoded(certificate), key }
    }

    /// The access type, as `auth` has it.
    pub fn access_type(&self) -> &'static str {
        match self {
            Self::AccessKey(_) => "access_key",
            Self::Certificate { .. } => "cert",
            Self::Machine(identity) => identity.access_type(),
        }
    }
}

/// Signs in by the method `access_id`.
///
/// # Errors
/// As `auth`: unauthorized when the credential does not fit, unavailable when control does not
/// answer.
pub async fn sign_in(
    ctx: &Ctx,
    access_id: &AccessId,
    credential: &OwnCredential,
) -> Result<LoginReply, Fault> {
    let text = |text: &str| Value::String(text.to_owned());
    let mut args = Args::new();
    args.put(ACCESS_ID.name(), text(access_id.as_str()));
    args.put(ACCESS_TYPE.name(), text(credential.access_type()));
    match credential {
        OwnCredential::AccessKey(key) => args.put(ACCESS_KEY.name(), text(key.expose())),
        OwnCredential::Certificate { certificate, key } => {
            args.put("cert-data", text(certificate));
            args.put("key-data", text(key.expose()));
        }
        OwnCredential::Machine(identity) => {
            args.put(CLOUD_ID.name(), text(identity.proof().await?.expose()));
        }
    }
    login(ctx, &args).await
}
