//! A fake server: it answers from a list of prepared answers and keeps what it was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Request line and headers.
    pub(super) head: String,
    /// The command: the last part of the path.
    pub(super) command: String,
    /// The JSON body.
    pub(super) body: Value,
}

/// A server that serves as many requests as it has answers.
pub(super) struct Fake {
    pub(super) url: String,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer: status, further headers, body.
pub(super) struct Reply(pub(super) u16, pub(super) &'static str, pub(super) String);

impl From<&str> for Reply {
    fn from(body: &str) -> Self {
        Self(200, "", body.to_owned())
    }
}

impl Fake {
    /// A server with these answers, in this order.
    pub(super) fn new<R>(replies: R) -> Self
    where
        R: IntoIterator<Item = Reply>,
        R::IntoIter: Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let replies = replies.into_iter();
        let thread = thread::spawn(move || {
            for reply in replies {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, &reply, &kept);
            }
        });
        Self { url, address, requests, thread: Some(thread) }
    }

    /// A server that answers once, and not before it is told to.
    pub(super) fn held(reply: Reply, until: Receiver<()>) -> Self {
        Self::new([()].into_iter().map(move |()| {
            until.recv().unwrap();
            Reply(reply.0, reply.1, reply.2.clone())
        }))
    }

    /// Returns what was asked. There must have been a request for every answer.
    pub(super) fn finish(mut self) -> Vec<Request> {
        // Runs are over, so a thread that still waits would wait for ever: an empty connection
        // ends it, and its assertion fails.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, reply: &Reply, kept: &Mutex<Vec<Request>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let request = loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "a prepared answer was not asked for, or a request broke off");
        bytes.extend_from_slice(&buffer[..length]);
        if let Some(request) = parse(&bytes) {
            break request;
        }
    };
    kept.lock().unwrap().push(request);
    let Reply(status, headers, body) = reply;
    write!(
        stream,
        "HTTP/1.1 {status} Fake\r\ncontent-type: application/json\r\n{headers}\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}

fn parse(bytes: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    let path = head.split(' ').nth(1)?;
    (body.len() == length).then(|| Request {
        head: head.to_owned(),
        command: path.rsplit('/').next().unwrap_or_default().to_owned(),
        body: serde_json::from_str(body).unwrap(),
    })
}
