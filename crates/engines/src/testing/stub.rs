//! A web server that answers as a test tells it, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;

use super::tls;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path with query, such as `GET /a?b`.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let is = |(there, _): &&(String, String)| there.eq_ignore_ascii_case(name);
        self.headers.iter().find(is).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The server. It ends with the test's runtime.
pub(crate) struct Stub {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answer = dyn Fn(&Asked) -> (u16, String) + Send + Sync;

impl Stub {
    /// One that answers with a status and a body.
    pub(crate) async fn new(
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (asked.clone(), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move { serve(stream, &kept, answer.as_ref()).await });
            }
        });
        Self { url, asked }
    }

    /// One that encrypts, and the authority that vouches for it.
    pub(crate) async fn secure(
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (asked.clone(), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
        let (acceptor, authority) = tls::acceptor(&[&rustls::version::TLS13]);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer, acceptor) = (kept.clone(), answer.clone(), acceptor.clone());
                tokio::spawn(async move {
                    serve(acceptor.accept(stream).await.ok()?, &kept, answer.as_ref()).await
                });
            }
        });
        (Self { url, asked }, authority)
    }

    /// Everything that it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: &Mutex<Vec<Asked>>,
    answer: &Answer,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let line = head.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
        let pair = |line: String| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        let mut asked =
            Asked { line, headers: head.into_iter().map(pair).collect(), body: String::new() };
        let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        asked.body = String::from_utf8(body).unwrap();
        let (status, body) = answer(&asked);
        kept.lock().unwrap().push(asked);
        let length = body.len();
        let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}
