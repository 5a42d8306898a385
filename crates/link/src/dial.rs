//! Getting through to another role: by TCP, or through a relay.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keysherd_fragments::manager_set::ManagerIndex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::Identity;
use crate::relay;
use crate::tls;
use crate::trust::TrustHandle;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A way to another role.
#[derive(Clone)]
pub struct Route {
    address: String,
    relay: Option<(TrustHandle, ManagerIndex)>,
}

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection with the role that was meant, and its key.
pub(crate) struct Connected {
    pub(crate) stream: TlsStream<Box<dyn Stream>>,
    pub(crate) spki_sha256: [u8; 32],
}

impl Route {
    /// Straight to `address` (`host:port`).
    pub fn direct(address: impl Into<String>) -> Self {
        Self { address: address.into(), relay: None }
    }

    /// To the manager with index `manager` through the relay at `address` (`host:port`), which
    /// shows a key that `relay` allows and can read nothing.
    pub fn relayed(address: impl Into<String>, relay: TrustHandle, manager: ManagerIndex) -> Self {
        Self { address: address.into(), relay: Some((relay, manager)) }
    }

    /// Connects as `identity` to a role whose key `trust` allows, with `limit` for TCP.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) async fn connect(
        &self,
        identity: &Identity,
        trust: &TrustHandle,
        limit: Duration,
    ) -> Result<Connected, String> {
        let tcp = connect_tcp(&self.address, limit).await?;
        let stream: Box<dyn Stream> = match &self.relay {
            None => Box::new(tcp),
            Some((relay_trust, manager)) => {
                let outer = shake(identity, relay_trust, tls::ALPN_RELAY, Box::new(tcp)).await;
                let mut outer = outer.map_err(|error| format!("the relay: {error}"))?.stream;
                relay::ask(&mut outer, *manager).await?;
                Box::new(outer)
            }
        };
        shake(identity, trust, tls::ALPN_CALLS, stream).await
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.relay {
            None => f.write_str(&self.address),
            Some((_, manager)) => write!(f, "manager {manager} through {}", self.address),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({self})")
    }
}

/// Connects to the first address of `address` that answers.
///
/// # Errors
/// Why none does, in words.
pub(crate) async fn connect_tcp(address: &str, limit: Duration) -> Result<TcpStream, String> {
    let found = timeout(limit, lookup_host(address)).await;
    let found = found.map_err(|_| "the name is not resolved in time".to_owned())?;
    let found: Vec<_> = found.map_err(|error| error.to_string())?.take(ADDRESSES_MAX).collect();
    let share = limit / u32::try_from(found.len().max(1)).unwrap_or(1);
    let mut last = "the name has no address".to_owned();
    for address in found {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Messages are written whole; waiting for more to send would only delay them.
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "no connection in time".to_owned(),
        }
    }
    Err(last)
}

async fn shake(
    identity: &Identity,
    trust: &TrustHandle,
    protocol: &[u8],
    stream: Box<dyn Stream>,
) -> Result<Connected, String> {
    let config = tls::client_config(identity, trust.clone(), protocol, tls::provider());
    let config = config.map_err(|fault| format!("{fault:?}"))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(tls::any_name(), stream).await;
    let stream = stream.map_err(|error| format!("TLS: {error}"))?;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(protocol) {
        return Err("it does not serve this protocol".to_owned());
    }
    let spki_sha256 = tls::spki_of(session.peer_certificates()).ok_or("it showed no key")?;
    Ok(Connected { stream, spki_sha256 })
}
