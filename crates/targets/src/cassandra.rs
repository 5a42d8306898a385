//! Sessions on servers that speak Cassandra's protocol (CQL binary protocol, version 4): Cassandra
//! and ScyllaDB.
//!
//! The protocol is spoken here and not by a driver, because drivers ask one node for all others and
//! connect to those by themselves: past what this gateway's operator allows. A session is with one
//! of the named nodes.

use keysherd_base::{Fault, FaultKind, SecretBuffer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::server::Stream;
use crate::words::with_words;
use crate::{Server, WRONG_CREDENTIALS, Way};

#[cfg(test)]
mod tests;

/// Operations by their numbers in the protocol (section 2.4).
const ERROR: u8 = 0;
const STARTUP: u8 = 1;
const READY: u8 = 2;
const AUTHENTICATE: u8 = 3;
const QUERY: u8 = 7;
const RESULT: u8 = 8;
const AUTH_RESPONSE: u8 = 15;
const AUTH_SUCCESS: u8 = 16;
/// The version of requests, and of answers.
const VERSION: u8 = 4;
const ANSWERED: u8 = 0x80 | VERSION;
/// Bytes of a frame's head, and of the longest answer.
const HEAD_BYTES: usize = 9;
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What a question wants: an answer of most replicas, and nothing else that there are flags for.
const QUORUM: [u8; 2] = [0, 4];
/// That an answer describes no columns, or says once which table they are all of.
const NO_METADATA: u32 = 4;
const ONE_TABLE: u32 = 1;
/// Kinds of columns that have nothing to add to their number; texts are among them.
const PLAIN_KINDS: std::ops::RangeInclusive<u16> = 1..=0x1f;
/// Those that ask for a name and a password.
const AUTHENTICATORS: &[&str] = &[
    "MutualTlsWithPasswordFallbackAuthenticator",
    "PasswordAuthenticator",
    "TransitionalAuthenticator",
];

/// A session. It ends with this value.
pub struct Session {
    stream: Stream,
}

/// What went wrong with a statement.
#[derive(Debug)]
pub struct StatementError {
    /// The server's number; `None`: it did not answer.
    code: Option<u32>,
    /// For the log.
    text: String,
}

/// Words for numbers (section 9 of the protocol).
const WORDS: &[(u32, FaultKind, &str)] = &[
    (0x0000, FaultKind::Unavailable, "the server fails; try again later"),
    (0x0100, FaultKind::Forbidden, "the user or the password is wrong"),
    (0x1000, FaultKind::Unavailable, "too few nodes are up"),
    (0x1001, FaultKind::Unavailable, "the server has too much to do; try again"),
    (0x1002, FaultKind::Unavailable, "the server is starting"),
    (0x1100, FaultKind::Unavailable, "too few nodes confirmed it in time"),
    (0x1200, FaultKind::Unavailable, "too few nodes answered in time"),
    (0x2000, FaultKind::BadRequest, "it is not written as the server understands it"),
    (0x2100, FaultKind::Forbidden, "the user of the target may not do that"),
    (0x2200, FaultKind::BadRequest, "it names or does something that the server does not allow"),
    (0x2400, FaultKind::Conflict, "something of this name exists already"),
];
const WRONG: u32 = 0x0100;

/// Signs in to the first of the nodes that answers.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error number.
pub async fn connect(nodes: &[Server], way: &Way) -> Result<Session, Fault> {
    let mut last = Fault::internal("a cluster without nodes");
    // Each has its share, so that one that is silent does not keep the others from being asked.
    let share = way.timeout / u32::try_from(nodes.len()).unwrap_or(1).max(1);
    for server in nodes {
        match timeout(share, signed_in(server, way)).await {
            Ok(Ok(session)) => return Ok(session),
            // What is wrong at one is wrong at all.
            Ok(Err(fault)) if fault.code() == WRONG_CREDENTIALS => return Err(fault),
            Ok(Err(fault)) => last = fault,
            Err(_) => last = server.late(),
        }
    }
    Err(last)
}

async fn signed_in(server: &Server, way: &Way) -> Result<Session, Fault> {
    let (user, password) = server.credentials()?;
    if password.expose().contains('\0') {
        // It would end there, and what follows would be read as something else.
        return Err(Fault::bad_request("the password has a zero byte, which no role's has"));
    }
    let what = format!("signing in to {}", server.place());
    let failed = |error: StatementError| {
        let fault = error.fault(&what, Some(password.expose().as_str()));
        if error.code == Some(WRONG) { fault.with_code(WRONG_CREDENTIALS) } else { fault }
    };
    let tcp = server.tcp(way).await?;
    let mut session = Session { stream: server.encrypt(tcp).await? };
    let mut hello = vec![0, 1];
    for text in ["CQL_VERSION", "3.0.0"] {
        hello.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
        hello.extend(text.as_bytes());
    }
    let (operation, body) = session.told(STARTUP, &hello).await.map_err(failed)?;
    let asked = body.get(2..).map(String::from_utf8_lossy).unwrap_or_default();
    let known = AUTHENTICATORS.iter().any(|known| asked.rsplit('.').next() == Some(known));
    match operation {
        AUTHENTICATE if known => {}
        AUTHENTICATE => {
            let why = "the server asks for something else than a name and a password";
            return Err(Fault::forbidden(format!("{what} failed: {why}")));
        }
        READY => {
            let why =
                "the server lets everybody in; set authenticator: PasswordAuthenticator there";
            return Err(Fault::forbidden(format!("{what} failed: {why}")));
        }
        _ => return Err(failed(StatementError::strange())),
    }
    // RFC 4616: nobody else, the name, the password.
    let secret = password.expose();
    let length = i32::try_from(user.len() + secret.len() + 2).unwrap_or(i32::MAX);
    let mut plain = SecretBuffer::with_capacity(user.len() + secret.len() + 6);
    plain.extend(&length.to_be_bytes());
    for part in [&[0][..], user.as_bytes(), &[0], secret.as_bytes()] {
        plain.extend(part);
    }
    let plain = plain.finish();
    match session.told(AUTH_RESPONSE, plain.expose()).await.map_err(failed)? {
        (AUTH_SUCCESS, _) => Ok(session),
        _ => Err(failed(StatementError::strange())),
    }
}

impl Session {
    /// Runs one statement.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn run(&mut self, statement: &str) -> Result<(), StatementError> {
        self.asked(statement).await.map(drop)
    }

    /// Whether a question is answered with rows.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn finds(&mut self, question: &str) -> Result<bool, StatementError> {
        let body = self.asked(question).await?;
        rows(&body).map(|rows| rows > 0).ok_or_else(StatementError::strange)
    }

    async fn asked(&mut self, statement: &str) -> Result<Vec<u8>, StatementError> {
        let length = i32::try_from(statement.len()).map_err(|_| StatementError::strange())?;
        let mut body = SecretBuffer::with_capacity(statement.len() + 7);
        body.extend(&length.to_be_bytes());
        body.extend(statement.as_bytes());
        body.extend(&QUORUM);
        body.extend(&[0]);
        let body = body.finish();
        match self.told(QUERY, body.expose()).await? {
            (RESULT, body) => Ok(body),
            _ => Err(StatementError::strange()),
        }
    }

    /// Sends a frame; gives the operation of the answer and its body.
    async fn told(&mut self, operation: u8, body: &[u8]) -> Result<(u8, Vec<u8>), StatementError> {
        let length = u32::try_from(body.len()).map_err(|_| StatementError::strange())?;
        let mut head = vec![VERSION, 0, 0, 0, operation];
        head.extend(length.to_be_bytes());
        self.stream.write_all(&head).await.map_err(StatementError::lost)?;
        self.stream.write_all(body).await.map_err(StatementError::lost)?;
        self.stream.flush().await.map_err(StatementError::lost)?;
        let mut head = [0; HEAD_BYTES];
        self.stream.read_exact(&mut head).await.map_err(StatementError::lost)?;
        let [version, flags, _, _, operation, rest @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(rest)).unwrap_or(usize::MAX);
        // Warnings (8) come before a body, in the same frame; nothing else was asked for.
        if version != ANSWERED || flags & !8 != 0 || length > ANSWER_BYTES_MAX {
            return Err(StatementError::strange());
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(StatementError::lost)?;
        if flags & 8 != 0 {
            body = without_warnings(&body).ok_or_else(StatementError::strange)?;
        }
        match operation {
            ERROR => Err(StatementError::said(&body)),
            _ => Ok((operation, body)),
        }
    }
}

/// How many rows there are in a result (section 4.2.5.2 of the protocol): in one piece, and of
/// plain columns.
fn rows(body: &[u8]) -> Option<u32> {
    let mut rest = body;
    let number = |rest: &mut &[u8]| {
        let (taken, after) = rest.split_first_chunk::<4>()?;
        *rest = after;
        Some(u32::from_be_bytes(*taken))
    };
    let (kind, flags, columns) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
    if kind != 2 || flags & !(NO_METADATA | ONE_TABLE) != 0 {
        return None;
    }
    if flags & NO_METADATA == 0 {
        let one_table = flags & ONE_TABLE != 0;
        if one_table {
            rest = without_text(without_text(rest)?)?;
        }
        for _ in 0..columns {
            if !one_table {
                rest = without_text(without_text(rest)?)?;
            }
            let (kind, after) = without_text(rest)?.split_first_chunk::<2>()?;
            rest = PLAIN_KINDS.contains(&u16::from_be_bytes(*kind)).then_some(after)?;
        }
    }
    number(&mut rest)
}

fn without_text(rest: &[u8]) -> Option<&[u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    after.get(usize::from(u16::from_be_bytes(*length))..)
}

fn without_warnings(body: &[u8]) -> Option<Vec<u8>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    for _ in 0..u16::from_be_bytes(*count) {
        rest = without_text(rest)?;
    }
    Some(rest.to_vec())
}

impl StatementError {
    fn said(body: &[u8]) -> Self {
        let code = body.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
        let text = body.get(6..).map(String::from_utf8_lossy).unwrap_or_default();
        Self { code, text: text.into_owned() }
    }

    fn lost(error: std::io::Error) -> Self {
        Self { code: None, text: error.to_string() }
    }

    /// What answered does not speak this protocol.
    fn strange() -> Self {
        Self { code: None, text: "the answer is none of this protocol".to_owned() }
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let known = WORDS.iter().find(|(code, ..)| Some(*code) == self.code);
        let (kind, words) = match (self.code, known) {
            (_, Some((_, kind, words))) => (*kind, *words),
            (Some(_), None) => (FaultKind::BadRequest, "the server refuses it"),
            (None, None) => {
                (FaultKind::Unavailable, "the connection was lost, or is none to a Cassandra")
            }
        };
        let public = match self.code {
            Some(code) => format!("{what} failed with {code:#06x}: {words}"),
            None => format!("{what} failed: {words}"),
        };
        with_words(Fault::new(kind, public), &self.text, secret)
    }
}
