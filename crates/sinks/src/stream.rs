//! Lines over TCP, TLS and UDP, for receivers that answer nothing.
//!
//! That a socket took bytes says nothing about the receiver. So each batch has a connection of its
//! own: after the last byte our side is closed, and when the receiver, who reads to the end first,
//! closes too, it has read everything. A receiver that dies before has not closed in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::Fault;
use keysherd_egress::{Egress, Target, tls_config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::http::private;
use crate::member::{Receiver, Undelivered};
use crate::settings::bad;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long the receiver may take to read one batch and to hang up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes a receiver may say before it hangs up; those of this kind say nothing.
const SAID_BYTES_MAX: usize = 64 * 1024;
/// Longest datagram, in bytes; what is longer is cut.
const DATAGRAM_BYTES_MAX: usize = 60_000;
/// After so many datagrams the receiver gets a moment to empty its buffer.
const DATAGRAMS_AT_ONCE: usize = 16;
const MOMENT: Duration = Duration::from_millis(2);

/// Host and port of a receiver, which is connected to without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    target: Target,
    egress: Egress,
}

impl Place {
    /// Reads `host`, `host:port` or `[address]:port`.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn parse(
        field: &str,
        text: &str,
        port: u16,
        egress: &Egress,
    ) -> Result<Self, Fault> {
        let whole = match text.rsplit_once(':') {
            // A bare IPv6 address has colons, and no port.
            Some((host, _)) if !host.contains(':') || host.ends_with(']') => text.to_owned(),
            Some(_) if !text.starts_with('[') => format!("[{text}]:{port}"),
            _ => format!("{text}:{port}"),
        };
        let target = Target::parse(&whole)
            .ok_or_else(|| bad(field, "it must be a host and a port, such as logs.example:514"))?;
        if !egress.admits(target.host()) {
            return Err(private(field));
        }
        Ok(Self { target, egress: egress.clone() })
    }

    /// Who that is, by `protocol`.
    pub(crate) fn receiver(&self, protocol: &'static str) -> Receiver {
        Receiver { target: self.target.clone(), protocol }
    }

    async fn address(&self) -> Result<SocketAddr, Undelivered> {
        let found = self.egress.addresses(&self.target, CONNECT_PATIENCE).await;
        let found = found.map_err(|error| Undelivered::later(error.why))?;
        found.first().copied().ok_or_else(|| Undelivered::later("its name has no address"))
    }
}

/// What connections are encrypted with: `ca`, or this machine's authorities are trusted.
///
/// # Errors
/// [`Fault::bad_request`] when the certificate cannot be read.
pub(crate) fn tls(ca: Option<&str>) -> Result<Arc<ClientConfig>, Fault> {
    tls_config("tls-certificate", ca, None)
}

/// A way to a receiver of a stream.
pub(crate) struct Stream {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

impl Stream {
    /// To `place`, encrypted or not.
    pub(crate) fn new(place: Place, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { place, tls }
    }

    /// Who is at its other end.
    pub(crate) fn receiver(&self) -> Receiver {
        self.place.receiver(if self.tls.is_some() { "tls" } else { "tcp" })
    }

    /// Sends `bytes`, and waits until the receiver has read them.
    ///
    /// # Errors
    /// [`Undelivered::Later`].
    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<(), Undelivered> {
        let connect = async {
            let Place { target, egress } = &self.place;
            let tcp = egress.connect_directly(target, CONNECT_PATIENCE).await;
            let tcp = tcp.map_err(|error| Undelivered::later(error.why))?;
            let Some(tls) = &self.tls else { return Ok(Way::Plain(tcp)) };
            let name = ServerName::try_from(target.host().to_owned())
                .map_err(|_| Undelivered::refused("its name cannot be in a certificate"))?;
            let tls = TlsConnector::from(tls.clone()).connect(name, tcp).await;
            tls.map(|tls| Way::Tls(Box::new(tls))).map_err(|error| broken(&error))
        };
        let connected = timeout(CONNECT_PATIENCE, connect).await;
        let way = connected.map_err(|_| Undelivered::later("it cannot be connected to in time"))?;
        let sent = timeout(PATIENCE, async {
            match way? {
                Way::Plain(mut stream) => deliver(&mut stream, bytes).await,
                Way::Tls(mut stream) => deliver(&mut *stream, bytes).await,
            }
        });
        let late = |_| Undelivered::later("it does not hang up after reading, as it should");
        sent.await.map_err(late)?
    }
}

enum Way {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn deliver<S>(stream: &mut S, bytes: &[u8]) -> Result<(), Undelivered>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(bytes).await.map_err(|error| broken(&error))?;
    stream.shutdown().await.map_err(|error| broken(&error))?;
    let (mut said, mut chunk) = (0, [0; 1024]);
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) => return Ok(()),
            Ok(read) if said + read > SAID_BYTES_MAX => {
                return Err(Undelivered::later("it talks too much for a receiver of this kind"));
            }
            Ok(read) => said += read,
            // rsyslog hangs up without TLS's farewell. A connection that broke is another error.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(broken(&error)),
        }
    }
}

fn broken(error: &std::io::Error) -> Undelivered {
    Undelivered::later(format!("the connection fails: {error}"))
}

/// Sends each message as a datagram. They may get lost, which nobody notices.
///
/// # Errors
/// [`Undelivered::Later`] when they certainly did not arrive.
pub(crate) async fn datagrams(place: &Place, messages: &[Vec<u8>]) -> Result<(), Undelivered> {
    let address = place.address().await?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| broken(&error))?;
    socket.connect(address).await.map_err(|error| broken(&error))?;
    for few in messages.chunks(DATAGRAMS_AT_ONCE) {
        for message in few {
            let end = message.len().min(DATAGRAM_BYTES_MAX);
            let sent = timeout(PATIENCE, socket.send(&message[..end])).await;
            sent.map_err(|_| Undelivered::later("it cannot be sent to in time"))?
                .map_err(|error| broken(&error))?;
        }
        tokio::time::sleep(MOMENT).await;
        // That nobody listens comes back as an error of the socket.
        if let Some(error) = socket.take_error().ok().flatten() {
            return Err(broken(&error));
        }
    }
    Ok(())
}
