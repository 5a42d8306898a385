//! The gateway half's way out: to the API servers and directories that its configurations name.
//!
//! Whoever signs in makes the gateway ask them, so the number of questions at one time is bounded.
//! Nothing is followed elsewhere, no proxy is asked, and answers are read up to a limit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keysherd_base::{Fault, SecretBytes, SecretString};
use keysherd_crypto::hash::sha256;
use reqwest::{Certificate, Client, Identity, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most questions at one time.
const TURNS: usize = 32;
/// How long a question waits for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(2);
/// How long one question may take, from connecting to the last byte.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Most clients kept, one for each configuration in use.
const CLIENTS_MAX: usize = 64;
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What a connection is made with.
pub(crate) struct Trust<'a> {
    /// Certificates of the authority in PEM; `None`: those of this machine.
    pub(crate) ca: Option<&'a str>,
    /// The gateway's own certificate and key in PEM, one after the other.
    pub(crate) own: Option<SecretString>,
}

/// The way out. One for the whole gateway.
pub struct Outward {
    turns: Semaphore,
    clients: Mutex<HashMap<[u8; 32], Client>>,
}

impl Default for Outward {
    fn default() -> Self {
        Self { turns: Semaphore::new(TURNS), clients: Mutex::default() }
    }
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outward")
    }
}

impl Outward {
    /// A turn to ask somebody.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many are being asked for too long.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let busy =
            || Fault::unavailable("too many logins are being checked; try again in a few seconds");
        let turn = tokio::time::timeout(TURN_PATIENCE, self.turns.acquire()).await;
        turn.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// A client that trusts as said; the one of last time, if there is one.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when a certificate or key cannot be read.
    pub(crate) fn client(&self, trust: &Trust<'_>) -> Result<Client, Fault> {
        let own = trust.own.as_ref().map_or("", |own| own.expose().as_str());
        let name = sha256(&[trust.ca.unwrap_or_default().as_bytes(), &[0], own.as_bytes()]);
        // Any state of the map is a good one, so a poisoned lock is usable.
        let known = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known().get(&name) {
            return Ok(client.clone());
        }
        let client = client(trust)?;
        let mut clients = known();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(name, client.clone());
        Ok(client)
    }
}

/// Makes a client.
///
/// # Errors
/// [`Fault::bad_request`] when a certificate or key cannot be read.
pub(crate) fn client(trust: &Trust<'_>) -> Result<Client, Fault> {
    let mut builder = Client::builder()
        .https_only(true)
        .timeout(ANSWER_PATIENCE)
        .redirect(redirect::Policy::none())
        .no_proxy();
    if let Some(ca) = trust.ca {
        let bad = |_| Fault::bad_request("the CA certificate is not one in PEM");
        let certificates = Certificate::from_pem_bundle(ca.as_bytes()).map_err(bad)?;
        if certificates.is_empty() {
            return Err(Fault::bad_request("the CA certificate is not one in PEM"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(own) = &trust.own {
        let identity = Identity::from_pem(own.expose().as_bytes()).map_err(|_| {
            Fault::bad_request("the client certificate and its key are not a pair in PEM")
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| {
        Fault::bad_request("the certificates cannot be used").with_private(format!("{error:?}"))
    })
}

/// Status and body of an answer.
///
/// # Errors
/// [`Fault::unavailable`] when it does not arrive whole in time, or is too long.
pub(crate) async fn answer(
    whom: &str,
    request: reqwest::RequestBuilder,
) -> Result<(u16, SecretBytes), Fault> {
    let unreachable = |error: &reqwest::Error| {
        Fault::unavailable(format!(
            "{whom} does not answer; check its address and certificate in the gateway's \
             configuration, and try again"
        ))
        .with_private(format!("{error:?}"))
    };
    let mut response = request.send().await.map_err(|error| unreachable(&error))?;
    let mut body = SecretBytes::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.expose().len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::unavailable(format!("{whom} answers with too many bytes")));
        }
        body.expose_mut().extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body))
}
