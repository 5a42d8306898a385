//! A question to a listener of this machine: does it serve?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tls;

/// The whole question.
const QUESTION: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// What a good answer begins with.
const GOOD: &[u8] = b"HTTP/1.1 200 ";

/// What a proxy says that speaks for itself (the PROXY protocol, version 1).
const PROXY_HEADER: &[u8] = b"PROXY UNKNOWN\r\n";

/// Asks `GET /health` of the listener at `address`, whatever certificate it shows: its names are
/// those that clients use, nothing secret is sent, and one bit is learned. Not for other machines.
/// `as_proxy`: the listener demands the PROXY protocol of this machine.
///
/// # Errors
/// Why it does not serve within `limit`, in words.
pub async fn probe(address: SocketAddr, as_proxy: bool, limit: Duration) -> Result<(), String> {
    timeout(limit, ask(address, as_proxy)).await.map_err(|_| "no answer in time".to_owned())?
}

async fn ask(address: SocketAddr, as_proxy: bool) -> Result<(), String> {
    let mut tcp = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    if as_proxy {
        tcp.write_all(PROXY_HEADER).await.map_err(|error| error.to_string())?;
    }
    let config = config().map_err(|error| error.to_string())?;
    let name = ServerName::IpAddress(address.ip().into());
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let mut stream = connected.map_err(|error| format!("TLS: {error}"))?;
    stream.write_all(QUESTION).await.map_err(|error| error.to_string())?;
    let mut answer = [0; GOOD.len()];
    match stream.read_exact(&mut answer).await {
        Err(error) if wants_certificate(&error) => return Ok(()),
        read => drop(read.map_err(|error| error.to_string())?),
    }
    if answer == GOOD {
        return Ok(());
    }
    let status = answer.get(9..12).unwrap_or_default();
    Err(format!("it answers with the status {}", String::from_utf8_lossy(status)))
}

/// What somebody shows with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The certificate, in DER.
    pub leaf: Vec<u8>,
    /// Whether it is for the name that was asked for.
    pub names_fit: bool,
}

/// What certificate is shown at the other end of `stream` to whoever asks for `name`. Nobody is
/// believed, and nothing but a handshake is sent.
///
/// # Errors
/// Why there is no handshake within `limit`, in words.
pub async fn look<S>(stream: S, name: &str, limit: Duration) -> Result<Seen, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = config().map_err(|error| error.to_string())?;
    let server = ServerName::try_from(name.to_owned());
    let server = server.map_err(|_| format!("{name} is no name of a server"))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(server.clone(), stream);
    let connected = timeout(limit, connecting).await;
    let connected = connected.map_err(|_| "TLS: no answer in time".to_owned())?;
    let connected = connected.map_err(|error| format!("TLS: {error}"))?;
    let chain = connected.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().ok_or_else(|| "TLS: no certificate is shown".to_owned())?;
    let parsed = ParsedCertificate::try_from(leaf);
    let names_fit = parsed.is_ok_and(|parsed| verify_server_name(&parsed, &server).is_ok());
    Ok(Seen { leaf: leaf.to_vec(), names_fit })
}

/// Whether the listener serves, but only clients with a certificate: nobody else learns more.
fn wants_certificate(error: &std::io::Error) -> bool {
    let told = error.get_ref().and_then(|inner| inner.downcast_ref());
    told == Some(&Error::AlertReceived(AlertDescription::CertificateRequired))
}

fn config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(tls::provider());
    let verifier = Arc::new(Whoever(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

/// Takes any certificate whose key signed the handshake.
#[derive(Debug)]
struct Whoever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
