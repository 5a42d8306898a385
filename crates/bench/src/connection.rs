//! The client's side of a connection: TLS 1.3, requests that are ready bytes, and as little
//! reading of answers as can be. It shares two cores with what it measures, and an HTTP library
//! would cost it more than the server's floor.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use keysherd_base::limits::ANSWER_BYTES_MAX;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Room for an answer at first: one TLS record.
const BUFFER_BYTES: usize = 16 * 1024;

/// A server that can be connected to.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Endpoint {
    /// The server at `url`, such as `https://127.0.0.1:8000`, whose certificate was signed by the
    /// authority in `ca_file`.
    ///
    /// # Errors
    /// When the URL has no numeric address, or the file no certificate.
    pub(crate) fn new(url: &str, ca_file: &Path) -> Result<Self, String> {
        let address = url.trim_start_matches("https://").trim_end_matches('/');
        let address = address.parse().map_err(|_| format!("'{url}' has no numeric address"))?;
        let failed = |error: String| format!("{}: {error}", ca_file.display());
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(ca_file);
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, tls: Arc::new(tls) })
    }

    /// Its address for others.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When the server does not listen, or the handshake fails.
    pub(crate) async fn connect(&self) -> Result<Connection, String> {
        let failed = |error: std::io::Error| format!("cannot connect to {}: {error}", self.address);
        let stream = TcpStream::connect(self.address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        Ok(Connection { stream: stream.map_err(failed)?, buffer: vec![0; BUFFER_BYTES] })
    }
}

/// A connection that is kept open from request to request.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// When the connection ends, or what comes is no answer with a declared length.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>, String> {
        let lost = |error: std::io::Error| format!("the connection was lost: {error}");
        self.stream.write_all(request).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let (mut filled, mut head) = (0, None);
        loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(room).await.map_err(lost)?;
            if read == 0 {
                return Err("the server closed the connection in the middle".to_owned());
            }
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if head.is_none() {
                head = Head::parse(seen)?;
            }
            let end = head.as_ref().map_or(filled + 1, |head| head.bytes + head.body_bytes);
            if filled > end {
                return Err("the server sent more than the answer".to_owned());
            }
            if filled == end {
                break;
            }
            if end > self.buffer.len() {
                self.buffer.resize(end.max(self.buffer.len() * 2), 0);
            }
        }
        let head = head.ok_or("an answer without a head")?;
        let body = self.buffer.get(head.bytes..filled).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }
}

/// What has to be known from the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Reads a head; `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            let endless = bytes.len() > HEAD_BYTES_MAX;
            return if endless { Err("an endless head".to_owned()) } else { Ok(None) };
        };
        let no_answer = || "what came is no HTTP/1.1 answer with a content-length".to_owned();
        let text = bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok());
        let mut lines = text.ok_or_else(no_answer)?.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3));
        let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(no_answer)?;
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .filter(|length| *length <= ANSWER_BYTES_MAX);
        Ok(Some(Self { status, bytes: end + 4, body_bytes: length.ok_or_else(no_answer)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whole_or_not_at_all() {
        let text = b"HTTP/1.1 404 Not Found\r\nx: y\r\nContent-Length: 12\r\n\r\n{\"er";
        let head = Head { status: 404, bytes: text.len() - 4, body_bytes: 12 };
        assert_eq!(Head::parse(text), Ok(Some(head)));
        for length in 0..text.len() - 4 {
            assert_eq!(Head::parse(&text[..length]), Ok(None));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/2 200 OK\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 \r\ncontent-length: 1\r\n\r\n",
        ] {
            assert!(Head::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Head::parse(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
