//! A provider of identities on this machine that answers what a target tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_authn::{Web, WebSettings};

/// What is answered to a request for a path.
pub(crate) type Pages = Vec<(&'static str, Vec<u8>)>;

/// A provider. One for each thread that fuzzes, so that answers are its own.
pub(crate) struct StandIn {
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    pages: Arc<Mutex<Pages>>,
}

impl StandIn {
    /// Starts one; it ends with the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine is free");
        let address = listener.local_addr().expect("a listener has an address");
        let pages = Arc::<Mutex<Pages>>::default();
        let served = Arc::clone(&pages);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that leaves is nobody's fault.
                let _ = serve(stream, &served);
            }
        });
        Self { url: format!("http://{address}"), pages }
    }

    /// From now on it answers this, and nothing else.
    pub(crate) fn answer(&self, pages: Pages) {
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = pages;
    }

    /// A way out that reaches it, with no connection yet.
    pub(crate) fn web() -> Web {
        let settings = WebSettings { loopback_http: true, ..WebSettings::default() };
        Web::new(&settings).expect("invariant: the settings are good")
    }
}

/// One request of a connection.
fn serve(stream: TcpStream, pages: &Mutex<Pages>) -> std::io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    from.read_line(&mut head)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = path.split('?').next().unwrap_or_default();
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut from.take(length), &mut std::io::sink())?;
    let pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
    let body = pages.iter().find(|(known, _)| *known == path).map(|(_, body)| body.as_slice());
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let mut to = stream;
    write!(to, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    to.write_all(body)
}
