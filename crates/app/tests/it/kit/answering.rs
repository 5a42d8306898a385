//! Something on this machine that answers plain HTTP as a test says, for what is asked of others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// From the request line to status and body.
type Answer = dyn Fn(&str) -> (u16, Vec<u8>) + Send + Sync;

/// The server; ended on drop.
pub(crate) struct Answering {
    /// Its address, `http://127.0.0.1:port`.
    pub(crate) url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Box<Answer>,
    asked: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Answering {
    /// One that answers what `answer` gives for a request line.
    pub(crate) fn new(answer: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, ended) = (Box::new(answer), AtomicBool::new(false));
        let shared = Arc::new(Shared { answer, asked: Mutex::default(), ended });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever hangs up early gets no answer.
                let _ = serve(stream, &serving);
            }
        });
        Self { url: format!("http://{address}"), address, shared }
    }

    /// The heads of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // The thread sees it at the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        head.push_str(&line);
    }
    reader.read_exact(&mut vec![0; length])?;
    let (status, body) = (shared.answer)(head.lines().next().unwrap_or_default());
    shared.asked.lock().unwrap().push(head);
    let begin = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (&stream).write_all(begin.as_bytes())?;
    (&stream).write_all(&body)
}
