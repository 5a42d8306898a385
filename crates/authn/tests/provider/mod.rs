//! An identity provider as far as keys go: an HTTP server on this machine that answers what it is
//! told to, and counts who asks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A provider. Its server ends with the program.
pub(crate) struct Provider {
    /// Its address, such as `http://127.0.0.1:4711`.
    pub(crate) url: String,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
struct Pages {
    answers: HashMap<String, (u16, String)>,
    asked: Vec<String>,
}

impl Provider {
    /// One that knows no page.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages = Arc::new(Mutex::new(Pages::default()));
        let known = pages.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let known = known.clone();
                std::thread::spawn(move || serve(stream, &known));
            }
        });
        Self { url, pages }
    }

    /// From now on `path` answers so.
    pub(crate) fn answer(&self, path: &str, status: u16, text: &str) {
        let mut pages = self.pages.lock().unwrap();
        pages.answers.insert(path.to_owned(), (status, text.to_owned()));
    }

    /// How often `path` was asked.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.pages.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }
}

fn serve(mut stream: TcpStream, pages: &Mutex<Pages>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut path) = (0, None);
    loop {
        let mut line = String::new();
        // Closed before it asked: nothing to answer.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = path.unwrap();
    let (status, text) = {
        let mut pages = pages.lock().unwrap();
        pages.asked.push(path.clone());
        pages.answers.get(&path).cloned().unwrap_or((404, String::new()))
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: \
         {}\r\n\r\n",
        text.len()
    );
    // A caller that reads no further than it likes is part of the tests.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
}
