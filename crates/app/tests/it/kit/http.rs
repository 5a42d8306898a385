//! A small HTTP/1.1 client over TLS 1.3 that sends exactly the bytes it is told to send.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::{Clock as _, SystemClock};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;

/// Longer than anything a healthy server takes, even while the machine is busy.
const PATIENCE: Duration = Duration::from_secs(300);

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A server as its clients see it; keeps connections that can be used again.
pub(crate) struct Http {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    idle: Mutex<Vec<Connection>>,
}

/// A clock that is ahead of the machine's, in seconds.
#[derive(Debug)]
struct Ahead(i64);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(SystemClock.now().seconds() + self.0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// One TLS connection.
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
    host: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Http {
    /// A client of `url` that trusts only the certificates in the file `ca`.
    pub(crate) fn new(url: &str, ca: &Path) -> Self {
        Self::ahead(url, ca, 0)
    }

    /// The same whose clock is ahead of the machine's, in seconds: certificates that were issued
    /// meanwhile are good then.
    pub(crate) fn ahead(url: &str, ca: &Path, seconds: i64) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_details(provider, Arc::new(Ahead(seconds)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let address = url.strip_prefix("https://").unwrap().parse().unwrap();
        Self { address, tls: Arc::new(tls), idle: Mutex::default() }
    }

    /// The address that is connected to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A fresh connection.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let tls = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        let host = self.address.to_string();
        Ok(Connection { stream: StreamOwned::new(tls, socket), received: Vec::new(), host })
    }

    /// Posts `body` as JSON. A kept connection that turns out to be closed is replaced once.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_post(path, headers, body).unwrap()
    }

    /// The same where nobody may answer.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let kept = self.idle.lock().unwrap().pop();
        if let Some(mut connection) = kept {
            match connection.post(path, headers, body) {
                Ok(reply) => {
                    self.keep(connection, &reply);
                    return Ok(reply);
                }
                // It may still be worked on, and is not sent twice.
                Err(error) if is_late(&error) => return Err(error),
                Err(_) => {}
            }
        }
        let mut connection = self.connect()?;
        let reply = connection.post(path, headers, body)?;
        self.keep(connection, &reply);
        Ok(reply)
    }

    /// Gets `path`.
    pub(crate) fn get(&self, path: &str) -> io::Result<Reply> {
        self.connect()?.send_head("GET", path, &[]).and_then(|mut sent| sent.reply())
    }

    fn keep(&self, connection: Connection, reply: &Reply) {
        if !reply.closes() {
            self.idle.lock().unwrap().push(connection);
        }
    }
}

impl Connection {
    /// Posts `body` as JSON and reads the answer.
    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut request = self.head("POST", path, headers, Some(body.len()));
        request.extend_from_slice(body);
        self.send(&request)?;
        self.reply()
    }

    /// Sends a request without a body.
    pub(crate) fn send_head(
        mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Self> {
        let request = self.head(method, path, headers, None);
        self.send(&request)?;
        Ok(self)
    }

    /// The head of a request. Content type and length are left to `headers` where they are there.
    pub(crate) fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> Vec<u8> {
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(length) = length {
            if !given("content-type") {
                head.push_str("Content-Type: application/json\r\n");
            }
            if !given("content-length") && !given("transfer-encoding") {
                head.push_str(&format!("Content-Length: {length}\r\n"));
            }
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads one answer.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let head_length = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.received.drain(..head_length).collect();
        let mut reply = parse_head(&head)?;
        if reply.status < 200 {
            return self.reply();
        }
        reply.body = match reply.header("content-length") {
            Some(length) => self.take(length.parse().map_err(io::Error::other)?)?,
            None if reply.header("transfer-encoding").is_some() => self.take_chunks()?,
            None => self.take_rest(),
        };
        Ok(reply)
    }

    /// Whether the server closes the connection instead of answering.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && self.more().is_err()
    }

    /// Reads with this patience from now on.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.stream.sock.set_read_timeout(Some(patience)).unwrap();
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.more()?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn take_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.received, b"\r\n") {
                    break self.take(at + 2)?;
                }
                self.more()?;
            };
            let digits = String::from_utf8_lossy(&line).trim().to_owned();
            let length = usize::from_str_radix(&digits, 16).map_err(io::Error::other)?;
            body.extend(self.take(length)?);
            self.take(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn take_rest(&mut self) -> Vec<u8> {
        while self.more().is_ok() {}
        std::mem::take(&mut self.received)
    }
}

fn parse_head(head: &[u8]) -> io::Result<Reply> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let status = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default();
    let status = status.parse().map_err(io::Error::other)?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    Ok(Reply { status, headers: headers.collect(), body: Vec::new() })
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

impl Reply {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON, which every answer must declare to be (V2 reference, section 0, rule 6).
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The text of an error, whose body has exactly one field.
    pub(crate) fn error(&self) -> String {
        let body = self.json();
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["error"], "{body}");
        body["error"].as_str().unwrap().to_owned()
    }

    /// The id under which the server knows the request.
    pub(crate) fn request_id(&self) -> String {
        self.header("keysherd-request-id").expect("an answer without a request id").to_owned()
    }

    /// Whether it says that the call worked.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
