//! The gateway half's way out: to the API servers and directories that its configurations name.
//!
//! Whoever signs in makes the gateway ask them, so the number of questions at one time is bounded:
//! over all, and for each account, as one account's directory that answers nothing must not keep
//! the people of others out. Nothing is followed elsewhere, and answers are read up to a limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keysherd_base::{AccountId, Fault, SecretBytes, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_egress::Egress;
use reqwest::{Certificate, Client, Identity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Most questions at one time.
const TURNS: usize = 64;
/// Most questions of one account at one time. Directories answer within milliseconds, so this is
/// hundreds of logins in a second; and it takes eight accounts to fill all turns.
const TURNS_OF_ACCOUNT: usize = 8;
/// Accounts that are remembered before those without a question are forgotten.
const ACCOUNTS_SWEPT_AT: usize = 256;
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
    egress: Egress,
    turns: Semaphore,
    /// `None` for a configuration that was taken away in this moment.
    accounts: Mutex<HashMap<Option<AccountId>, Arc<Semaphore>>>,
    clients: Mutex<HashMap<[u8; 32], Client>>,
}

impl Default for Outward {
    fn default() -> Self {
        Self::new(&Egress::default())
    }
}

/// A turn to ask somebody; over when it is dropped.
pub(crate) struct Turn<'o> {
    _own: OwnedSemaphorePermit,
    _shared: SemaphorePermit<'o>,
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outward")
    }
}

impl Outward {
    /// Nobody is asked yet; what is asked leaves by `egress`.
    pub fn new(egress: &Egress) -> Self {
        Self {
            egress: egress.clone(),
            turns: Semaphore::new(TURNS),
            accounts: Mutex::default(),
            clients: Mutex::default(),
        }
    }

    /// How connections that are not HTTP leave.
    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    /// A turn to ask somebody whom `account` has configured.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many are being asked for too long.
    pub(crate) async fn turn(&self, account: Option<AccountId>) -> Result<Turn<'_>, Fault> {
        let busy =
            || Fault::unavailable("too many logins are being checked; try again in a few seconds");
        let own = self.of_account(account);
        let taking = async {
            // The account's own first: who waits for that holds nothing of others.
            let own = own.acquire_owned().await.map_err(|_| busy())?;
            let shared = self.turns.acquire().await.map_err(|_| busy())?;
            Ok(Turn { _own: own, _shared: shared })
        };
        tokio::time::timeout(TURN_PATIENCE, taking).await.map_err(|_| busy())?
    }

    fn of_account(&self, account: Option<AccountId>) -> Arc<Semaphore> {
        // Any state of the map is a good one, so a poisoned lock is usable.
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_SWEPT_AT {
            // Whoever waits or asks has a handle of their own.
            accounts.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = accounts.entry(account);
        turns.or_insert_with(|| Arc::new(Semaphore::new(TURNS_OF_ACCOUNT))).clone()
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
        let client = client(trust, &self.egress)?;
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
pub(crate) fn client(trust: &Trust<'_>, egress: &Egress) -> Result<Client, Fault> {
    let mut builder = egress.http().https_only(true).timeout(ANSWER_PATIENCE);
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

#[cfg(test)]
mod tests {
    use keysherd_base::Uid;

    use super::*;

    fn account(number: u8) -> Option<AccountId> {
        Some(AccountId(Uid([number; 16])))
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_whose_directory_stalls_keeps_nobody_else_waiting() {
        let outward = Outward::default();
        let mut stalled = Vec::new();
        for _ in 0..TURNS_OF_ACCOUNT {
            stalled.push(outward.turn(account(1)).await.unwrap());
        }
        // A thousand more of its people, waiting, take nothing of what is there for others.
        let more: Vec<_> = (0..1_000).map(|_| Box::pin(outward.turn(account(1)))).collect();
        let waiting = async {
            let mut refused = 0;
            for turn in more {
                refused += usize::from(turn.await.is_err());
            }
            refused
        };
        let others = async {
            let begun = tokio::time::Instant::now();
            for number in 2..8 {
                for _ in 0..100 {
                    drop(outward.turn(account(number)).await.unwrap());
                }
            }
            begun.elapsed()
        };
        let (refused, waited) = tokio::join!(waiting, others);
        assert_eq!((refused, waited), (1_000, Duration::ZERO));
        drop(stalled);
        assert!(outward.turn(account(1)).await.is_ok(), "its own go on as well");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_together_have_a_bound_and_are_forgotten() {
        let outward = Outward::default();
        let mut held = Vec::new();
        for number in 0..TURNS / TURNS_OF_ACCOUNT {
            for _ in 0..TURNS_OF_ACCOUNT {
                held.push(outward.turn(account(u8::try_from(number).unwrap())).await.unwrap());
            }
        }
        assert!(outward.turn(account(200)).await.is_err());
        drop(held);
        for number in 0..2_000_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            drop(outward.turn(Some(AccountId(Uid(id)))).await.unwrap());
        }
        assert!(outward.accounts.lock().unwrap().len() <= ACCOUNTS_SWEPT_AT);
    }
}
