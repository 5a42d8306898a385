//! A proxy that is asked with CONNECT, remembers everything, and can misbehave. It knows names
//! that nobody else does, so whoever gets through by such a name came through it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Ended on drop.
pub(crate) struct ConnectProxy {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    places: Mutex<BTreeMap<String, String>>,
    heads: Mutex<Vec<String>>,
    recorded: Mutex<Vec<u8>>,
    /// What is answered instead of leading anywhere.
    refusal: Mutex<Option<&'static str>>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl ConnectProxy {
    /// One that knows nobody yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, Ok(stream)) = (serving.clone(), stream) else { continue };
                // Whoever goes away early leaves nothing to be done.
                thread::spawn(move || shared.attend(stream));
            }
        });
        Self { address, shared }
    }

    /// Leads those who ask for `name` (`host:port`) to `address`.
    pub(crate) fn lead(&self, name: &str, address: &str) {
        self.shared.places.lock().unwrap().insert(name.to_owned(), address.to_owned());
    }

    /// Answers everybody with these bytes from now on; `None`: leads them again.
    pub(crate) fn refuse(&self, answer: Option<&'static str>) {
        *self.shared.refusal.lock().unwrap() = answer;
    }

    /// Cuts every connection through it.
    pub(crate) fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// Everything that went through it, in both directions.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        self.shared.recorded.lock().unwrap().clone()
    }
}

impl Shared {
    fn attend(self: Arc<Self>, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 8_192 {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).ok()?;
        let name = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
        self.heads.lock().unwrap().push(head);
        let refusal = *self.refusal.lock().unwrap();
        if let Some(answer) = refusal {
            return stream.write_all(answer.as_bytes()).ok();
        }
        let place = self.places.lock().unwrap().get(&name).cloned();
        let Some(far) = place.and_then(|place| TcpStream::connect(place).ok()) else {
            return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").ok();
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\nVia: 1.1 test\r\n\r\n").ok()?;
        for end in [&stream, &far] {
            self.open.lock().unwrap().push(end.try_clone().ok()?);
        }
        let (back_from, back_to) = (far.try_clone().ok()?, stream.try_clone().ok()?);
        let shared = self.clone();
        thread::spawn(move || shared.copy(back_from, back_to));
        self.copy(stream, far);
        Some(())
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            self.recorded.lock().unwrap().extend_from_slice(&chunk[..read]);
            if to.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the accept loop; it may be gone already.
        let _ = TcpStream::connect(self.address);
    }
}
