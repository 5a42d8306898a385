//! What stands between the driver of MySQL's protocol and a server.
//!
//! The driver connects by itself, and reserves memory for as many columns as a server says that an
//! answer has, whether they come or not; it ends the process where that is more than there is.
//! Whoever makes a target chooses the server. So the driver is led to a port of this machine, and
//! what is carried to it is looked at first ([`Packets`]).
//!
//! Where a connection is encrypted, the driver encrypts to here and this to the server, so that it
//! knows that it may send a password as it is where the server asks for that. (MySQL Internals,
//! "Connection Phase": a client asks for TLS after the server's greeting.)

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::pki::LocalCa;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::packets::{Packets, without_flags};
use crate::server::{Encryption, Stream};
use crate::{Server, Way};
use keysherd_egress::heard::{Bound, Heard};

/// The name that the driver expects here.
pub(super) const NAME: &str = "relay.invalid";
/// From when until when the driver believes what is shown here, which lives as long as a session:
/// seconds of any time.
const ALWAYS: (i64, i64) = (0, 4_000_000_000);
/// Bytes of a packet before its content: a length and a number.
const HEAD_BYTES: usize = 4;
/// Longest greeting, and how long the wish for TLS is, in bytes.
const GREETING_BYTES_MAX: usize = 4 * 1024;
const WISH_BYTES: usize = 32;

/// Carries bytes between the driver and a server until it is dropped.
pub(super) struct Relay {
    port: u16,
    authority: Option<String>,
    failed: Arc<Mutex<Option<Fault>>>,
    carrying: JoinHandle<()>,
}

impl Relay {
    /// Connects to a server.
    ///
    /// # Errors
    /// Where it is not reached.
    pub(super) async fn new(server: &Server, way: &Way) -> Result<Self, Fault> {
        let tcp = server.tcp(way).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(here)?;
        let port = listener.local_addr().map_err(here)?.port();
        let (mut shown, mut authority) = (None, None);
        if server.is_encrypted() {
            let (acceptor, vouching) = of_driver(way)?;
            (shown, authority) = (Some(acceptor), Some(vouching));
        }
        let encryption = server.encryption().zip(shown);
        let failed = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&failed);
        let carrying = tokio::spawn(async move {
            if let Err(Broken::Told(fault)) = carry(listener, tcp, encryption).await {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            }
        });
        Ok(Self { port, authority, failed, carrying })
    }

    /// Where the driver finds it on this machine.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Who vouches for it, in PEM; none: the driver does not encrypt.
    pub(super) fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Why the server was not connected to, where it is known better here than by the driver.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// Why nothing is carried any more.
enum Broken {
    /// One of them has hung up.
    Off,
    /// With something to tell.
    Told(Fault),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Off
    }
}

fn here(error: io::Error) -> Fault {
    Fault::unavailable("this gateway has no more ports").with_private(error)
}

/// What the driver encrypts to, and who vouches for it.
fn of_driver(way: &Way) -> Result<(TlsAcceptor, String), Fault> {
    let [from, until] = [ALWAYS.0, ALWAYS.1].map(Timestamp::from_seconds);
    let rng = way.rng.as_ref();
    let authority = LocalCa::create("keysherd relay", from, until, rng).map_err(Fault::internal)?;
    let names = [NAME.to_owned()];
    let shown = authority.issue_server(&names, from, until, rng).map_err(Fault::internal)?;
    let certificate = CertificateDer::from_pem_slice(shown.cert_pem.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem.expose().as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.map_err(Fault::internal)?],
            key.map_err(Fault::internal)?,
        )
        .map_err(Fault::internal)?;
    Ok((TlsAcceptor::from(Arc::new(config)), authority.cert_pem().to_owned()))
}

/// Carries everything, from the greeting on.
async fn carry(
    listener: TcpListener,
    mut tcp: TcpStream,
    encryption: Option<(Encryption, TlsAcceptor)>,
) -> Result<(), Broken> {
    let (mut driver, _) = listener.accept().await?;
    // Nobody else is led to it.
    drop(listener);
    let greeting = packet(&mut tcp, GREETING_BYTES_MAX).await?;
    driver.write_all(&without_flags(greeting)).await?;
    let Some((encryption, acceptor)) = encryption else {
        let server: Stream = Box::new(Heard::new(tcp, Bound::default()));
        return splice(server, driver).await;
    };
    // Anything else than the wish would be the beginning of a talk that is not encrypted.
    let wish = packet(&mut driver, WISH_BYTES).await?;
    tcp.write_all(&wish).await?;
    let server = encryption.around(tcp).await.map_err(Broken::Told)?;
    splice(server, acceptor.accept(driver).await?).await
}

async fn splice(
    server: Stream,
    mut driver: impl AsyncRead + tokio::io::AsyncWrite + Unpin,
) -> Result<(), Broken> {
    let mut server = Heard::new(server, Packets::default());
    // Whichever end is closed, or says what nobody is to hear, ends the other.
    copy_bidirectional(&mut server, &mut driver).await?;
    Ok(())
}

/// A packet, with its head.
async fn packet(from: &mut TcpStream, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; HEAD_BYTES];
    from.read_exact(&mut packet).await?;
    let length = packet.iter().take(3).rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    if length > bytes_max {
        return Err(io::Error::other("a packet that is too long"));
    }
    packet.resize(HEAD_BYTES + length, 0);
    from.read_exact(packet.get_mut(HEAD_BYTES..).unwrap_or_default()).await?;
    Ok(packet)
}
