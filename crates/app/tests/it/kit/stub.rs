//! A small HTTPS server that stands in for somebody else's: it answers as it is told to, and
//! remembers what it was asked.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_crypto::random::SystemRng;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path, such as `POST /x`.
    pub(crate) line: String,
    /// The head, with the names of headers as sent.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Status, further headers, body.
pub(crate) type Said = (u16, Vec<(String, String)>, Vec<u8>);
type Answer = Box<dyn Fn(&Asked) -> Said + Send + Sync>;

/// The server; ended on drop.
pub(crate) struct Stub {
    /// Its address, `https://127.0.0.1:port`.
    pub(crate) url: String,
    /// The certificate of its authority, in PEM.
    pub(crate) ca_pem: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Arc<Answer>>,
    asked: Mutex<Vec<Asked>>,
    ended: AtomicBool,
}

impl Stub {
    /// A server that answers with what `answer` gives.
    pub(crate) fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let (tls, ca_pem) = identity();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(Arc::new(Box::new(answer))),
            asked: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    let (serving, tls) = (serving.clone(), tls.clone());
                    thread::spawn(move || serve(&serving, tls, stream));
                }
            }
        });
        Self { url: format!("https://{address}"), ca_pem, address, shared }
    }

    /// The same that answers with JSON.
    pub(crate) fn json(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::new(json(answer))
    }

    /// Answers differently from now on.
    pub(crate) fn answer(&self, answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) {
        *self.shared.answer.lock().unwrap() = Arc::new(Box::new(answer));
    }

    /// What it was asked since it was last looked at.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }
}

/// An answer in JSON.
pub(crate) fn json(
    answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Said + Send + Sync + 'static {
    move |asked| {
        let (status, body) = answer(asked);
        let kind = ("Content-Type".to_owned(), "application/json".to_owned());
        (status, vec![kind], body.to_string().into_bytes())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the listener; whether it is still there does not matter.
        let _ = TcpStream::connect(self.address);
    }
}

fn identity() -> (Arc<ServerConfig>, String) {
    let now = SystemClock.now();
    let rng = SystemRng::handle();
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
    let ca = LocalCa::create("a stub's authority", begin, end, &*rng).unwrap();
    let names = ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let issued = ca.issue_server(&names, begin, end, &*rng).unwrap();
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    (Arc::new(config), ca.cert_pem().to_owned())
}

/// Answers one request and hangs up; what goes wrong is the caller's to notice.
fn serve(shared: &Shared, tls: Arc<ServerConfig>, stream: TcpStream) {
    let ready = stream.set_read_timeout(Some(PATIENCE));
    let Ok(connection) = ready.map(|()| ServerConnection::new(tls).unwrap()) else { return };
    let mut stream = StreamOwned::new(connection, stream);
    let Some(asked) = read(&mut stream) else { return };
    let answer = shared.answer.lock().unwrap().clone();
    let (status, headers, body) = answer(&asked);
    shared.asked.lock().unwrap().push(asked);
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    if sent.and_then(|()| stream.flush()).is_ok() {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn read(stream: &mut impl std::io::Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let (line, head) = head.split_once("\r\n")?;
            let line = line.rsplit_once(' ')?.0.to_owned();
            let mut asked = Asked { line, head: head.to_owned(), body: bytes[end + 4..].to_vec() };
            let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
            while asked.body.len() < length {
                let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
                asked.body.extend_from_slice(&chunk[..read]);
            }
            return Some(asked);
        }
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}
