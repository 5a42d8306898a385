//! Getting through to another role: by TCP, or through a relay.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keysherd_egress::{DialError, DialStep, Egress, Target};
use keysherd_fragments::manager_set::ManagerIndex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::Identity;
use crate::relay;
use crate::tls;
use crate::trust::TrustHandle;

/// A way to another role.
#[derive(Clone)]
pub struct Route {
    address: String,
    egress: Egress,
    relay: Option<(TrustHandle, ManagerIndex)>,
}

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a look ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeStep {
    /// The name has no address.
    Name,
    /// Nobody answers at the address.
    Tcp,
    /// The proxy, or the way to it.
    Proxy,
    /// Whoever answers has not the key that is expected, or no TLS of this kind.
    Tls,
    /// It does not let this role in, or speaks another version.
    Admission,
}

/// Why a look failed.
#[derive(Clone, Debug)]
pub struct ProbeFailed {
    /// Where.
    pub step: ProbeStep,
    /// Why, in words.
    pub why: String,
}

/// A connection with the role that was meant, and its key.
pub(crate) struct Connected {
    pub(crate) stream: TlsStream<Box<dyn Stream>>,
    pub(crate) spki_sha256: [u8; 32],
}

impl Route {
    /// Straight to `address` (`host:port`).
    pub fn direct(address: impl Into<String>) -> Self {
        Self { address: address.into(), egress: Egress::default(), relay: None }
    }

    /// To the manager with index `manager` through the relay at `address` (`host:port`), which
    /// shows a key that `relay` allows and can read nothing.
    pub fn relayed(address: impl Into<String>, relay: TrustHandle, manager: ManagerIndex) -> Self {
        let relay = Some((relay, manager));
        Self { address: address.into(), egress: Egress::default(), relay }
    }

    /// The same by this way out: through its proxy, where it has one for the address.
    #[must_use]
    pub fn through(self, egress: &Egress) -> Self {
        Self { egress: egress.clone(), ..self }
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
    ) -> Result<Connected, ProbeFailed> {
        let tcp = connect_tcp(&self.egress, &self.address, limit).await?;
        let by_tls = |why: String| ProbeFailed { step: ProbeStep::Tls, why };
        let stream: Box<dyn Stream> = match &self.relay {
            None => Box::new(tcp),
            Some((relay_trust, manager)) => {
                let outer = shake(identity, relay_trust, tls::ALPN_RELAY, Box::new(tcp)).await;
                let outer = outer.map_err(|error| by_tls(format!("the relay: {error}")));
                let mut outer = outer?.stream;
                relay::ask(&mut outer, *manager).await.map_err(by_tls)?;
                Box::new(outer)
            }
        };
        shake(identity, trust, tls::ALPN_CALLS, stream).await.map_err(by_tls)
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

/// Connects to `address` (`host:port`).
///
/// # Errors
/// Why not, in words.
pub(crate) async fn connect_tcp(
    egress: &Egress,
    address: &str,
    limit: Duration,
) -> Result<TcpStream, ProbeFailed> {
    let Some(target) = Target::parse(address) else {
        let why = "its address is no host with a port".to_owned();
        return Err(ProbeFailed { step: ProbeStep::Name, why });
    };
    egress.connect(&target, limit).await.map_err(|DialError { step, why }| {
        let step = match step {
            DialStep::Name => ProbeStep::Name,
            DialStep::Tcp => ProbeStep::Tcp,
            DialStep::Proxy => ProbeStep::Proxy,
        };
        ProbeFailed { step, why }
    })
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
