//! Certificates from an ACME authority (RFC 8555). That a name is ours is proven with tls-alpn-01
//! (RFC 8737): by a certificate that the listener for clients itself shows, so nothing else has to
//! be reachable.
//!
//! Keys and requests for certificates are made elsewhere; this crate speaks the protocol.

mod client;

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use keysherd_base::{Fault, SecretString};
use keysherd_egress::Egress;

use client::{Client, described};

/// How long the authority may take to look, and to issue.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest chain that is taken, in bytes.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// Who issues, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The URL of its directory; `https`.
    pub directory: String,
    /// Where its operator finds the gateway's, such as `mailto:ops@example.com`.
    pub contact: Option<String>,
    /// Certificates that the authority's own server is believed by, in PEM; `None`: those that this
    /// machine trusts.
    pub ca: Option<String>,
}

/// An account with an authority.
pub struct AcmeAccount {
    account: Account,
}

/// What has the listener show the proof: for this name, over this SHA-256 of the key authorization.
pub type ShowProof<'a> = &'a (dyn Fn(&str, [u8; 32]) -> Result<(), Fault> + Send + Sync);

impl AcmeAccount {
    /// The account in `kept`, or a new one; with a new one, what is to be kept of it, key included.
    ///
    /// # Errors
    /// [`Fault::unavailable`] says what the authority said, or that it is not reached.
    pub async fn open(
        authority: &Authority,
        egress: &Egress,
        kept: Option<&SecretString>,
    ) -> Result<(Self, Option<SecretString>), Fault> {
        let client = Client::new(egress, authority.ca.as_deref())?;
        let builder = Account::builder_with_http(Box::new(client));
        if let Some(kept) = kept {
            let unreadable = |_| Fault::internal("the kept ACME account is damaged");
            let credentials: AccountCredentials =
                serde_json::from_str(kept.expose()).map_err(unreadable)?;
            let account = builder.from_credentials(credentials).await.map_err(described)?;
            return Ok((Self { account }, None));
        }
        let contact: Vec<&str> = authority.contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let made = builder.create(&new, authority.directory.clone(), None).await;
        let (account, credentials) = made.map_err(described)?;
        let kept = serde_json::to_string(&credentials).map_err(Fault::internal)?;
        Ok((Self { account }, Some(SecretString::new(kept))))
    }

    /// Has a certificate issued for DNS names and the request `csr` (DER); gives its chain in PEM,
    /// leaf first.
    ///
    /// # Errors
    /// [`Fault::unavailable`] says what the authority said; whatever `show` fails with.
    pub async fn obtain(
        &self,
        names: &[String],
        csr: &[u8],
        show: ShowProof<'_>,
    ) -> Result<String, Fault> {
        let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
        let order = self.account.new_order(&NewOrder::new(&identifiers)).await;
        let mut order = order.map_err(described)?;
        prove(&mut order, show).await?;
        let retries = RetryPolicy::new().timeout(PATIENCE);
        let status = order.poll_ready(&retries).await.map_err(described)?;
        if status != OrderStatus::Ready {
            return Err(Fault::unavailable(format!(
                "the authority did not find the proof at {} on port 443; it says that the order is \
                 {status:?}",
                names.join(", ")
            )));
        }
        order.finalize_csr(csr).await.map_err(described)?;
        let chain = order.poll_certificate(&retries).await.map_err(described)?;
        if chain.len() > CHAIN_BYTES_MAX {
            let text = format!("the authority's chain is longer than {CHAIN_BYTES_MAX} bytes");
            return Err(Fault::unavailable(text));
        }
        Ok(chain)
    }
}

/// Shows what the authority wants to see of each name, and tells it to look.
async fn prove(order: &mut Order, show: ShowProof<'_>) -> Result<(), Fault> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(described)?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                let text = format!("the authority has the proof of a name as {other:?}");
                return Err(Fault::unavailable(text));
            }
        }
        let name = authorization.identifier().to_string();
        let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
        let mut challenge = challenge.ok_or_else(|| {
            Fault::unavailable(format!("the authority does not offer tls-alpn-01 for {name}"))
        })?;
        let digest = challenge.key_authorization().digest();
        let digest = <[u8; 32]>::try_from(digest.as_ref()).map_err(Fault::internal)?;
        show(&name, digest)?;
        challenge.set_ready().await.map_err(described)?;
    }
    Ok(())
}
