//! A stand-in for SQL Server: the messages of its protocol (MS-TDS), and as much of its language as
//! logins need.

mod wrapped;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Kinds of messages.
const LOGIN: u8 = 0x10;
const PRELOGIN: u8 = 0x12;
const ANSWER: u8 = 0x04;

#[derive(Default)]
pub(crate) struct State {
    /// Logins with their passwords.
    pub(crate) logins: BTreeMap<String, String>,
    pub(crate) disabled: Vec<String>,
    /// Users of the database.
    pub(crate) users: Vec<String>,
    /// Statements in the order in which they came.
    pub(crate) said: Vec<String>,
    /// Statements that begin so are refused with this number.
    pub(crate) refuses: Vec<(&'static str, u32)>,
    /// Goes away when a statement begins so.
    pub(crate) gone_at: Option<&'static str>,
    /// Sends its clients elsewhere.
    pub(crate) routes: bool,
    /// Leaves logins where they are, whatever is said.
    pub(crate) keeps: bool,
}

pub(crate) struct StandIn {
    pub(crate) port: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl StandIn {
    pub(crate) async fn new() -> Self {
        Self::start(None).await
    }

    /// One that speaks encrypted only, with a certificate of its authority, which comes with it.
    pub(crate) async fn encrypted() -> (Self, String) {
        let (acceptor, authority) = wrapped::acceptor();
        (Self::start(Some(acceptor)).await, authority)
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let state = Arc::<Mutex<State>>::default();
        state.lock().unwrap().logins.insert("keeper".to_owned(), super::ADMIN.to_owned());
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served(stream, acceptor.clone(), Arc::clone(&kept)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn has(&self, login: &str) -> bool {
        self.state.lock().unwrap().logins.contains_key(login)
    }
}

async fn served(
    mut stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    let (kind, _) = message(&mut stream).await?;
    assert_eq!(kind, PRELOGIN);
    answer(&mut stream, &prelogin(acceptor.is_some())).await?;
    match acceptor {
        None => serve(stream, state).await,
        Some(acceptor) => {
            let inside = wrapped::Wrapped::new(stream);
            let ready = inside.ready();
            let stream = acceptor.accept(inside).await.ok()?;
            ready.store(true, Ordering::SeqCst);
            serve(stream, state).await
        }
    }
}

/// Sends an answer, in one packet.
async fn answer(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> Option<()> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    let whole = [&[ANSWER, 1][..], &length, &[0, 0, 1, 0], body].concat();
    stream.write_all(&whole).await.ok()?;
    stream.flush().await.ok()
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    loop {
        let (kind, message) = message(&mut stream).await?;
        let said = match kind {
            LOGIN => login(&message, &state.lock().unwrap()),
            _ => {
                let headers = u32::from_le_bytes(message[..4].try_into().unwrap());
                let text = wide(&message[usize::try_from(headers).unwrap()..]);
                batch(&text, &mut state.lock().unwrap())?
            }
        };
        answer(&mut stream, &said).await?;
    }
}

/// A message, which may be in several packets.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let mut whole = Vec::new();
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await.ok()?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - 8];
        stream.read_exact(&mut body).await.ok()?;
        whole.extend(body);
        if head[1] & 1 == 1 {
            return Some((head[0], whole));
        }
    }
}

/// Which version it is, and whether it encrypts: it demands that, or cannot.
fn prelogin(encrypts: bool) -> Vec<u8> {
    let options = [[0, 0, 11, 0, 6], [1, 0, 17, 0, 1]].concat();
    [&options[..], &[0xff], &[16, 0, 0, 0, 0, 0], &[if encrypts { 3 } else { 2 }]].concat()
}

fn login(message: &[u8], state: &State) -> Vec<u8> {
    let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let text = |at: usize| &message[number(at)..number(at) + 2 * number(at + 2)];
    let plain = |byte: &u8| (byte ^ 0xa5).rotate_left(4);
    let user = wide(text(40));
    let password = wide(&text(44).iter().map(plain).collect::<Vec<_>>());
    if state.logins.get(&user) != Some(&password) || state.disabled.contains(&user) {
        return [error(18_456, &format!("Login failed for user '{user}'.")), done(2)].concat();
    }
    let name = utf16("Microsoft SQL Server");
    let length = u16::try_from(1 + 4 + 1 + name.len() + 4).unwrap().to_le_bytes();
    let version = [0x74, 0, 0, 4];
    let own = u8::try_from(name.len() / 2).unwrap();
    let ack = [&[0xad][..], &length, &[1], &version, &[own], &name, &[16, 0, 0, 0]].concat();
    if !state.routes {
        return [ack, done(0)].concat();
    }
    let other = utf16("elsewhere.example");
    let chars = u16::try_from(other.len() / 2).unwrap().to_le_bytes();
    let route = [&[0][..], &1_433_u16.to_le_bytes(), &chars, &other].concat();
    let route_length = u16::try_from(route.len()).unwrap().to_le_bytes();
    let change = [&[20][..], &route_length, &route, &[0, 0]].concat();
    let length = u16::try_from(change.len()).unwrap().to_le_bytes();
    [ack, [&[0xe3][..], &length, &change].concat(), done(0)].concat()
}

fn batch(text: &str, state: &mut State) -> Option<Vec<u8>> {
    state.said.push(text.to_owned());
    if state.gone_at.is_some_and(|begin| text.starts_with(begin)) {
        return None;
    }
    if let Some((_, code)) = state.refuses.iter().find(|(begin, _)| text.starts_with(begin)) {
        return Some([error(*code, &format!("refused near '{text}'")), done(2)].concat());
    }
    let name = between(text, "LOGIN [", "]");
    if text.starts_with("DECLARE @got") {
        return Some(row("0"));
    }
    if text.starts_with("CREATE LOGIN") {
        let password = between(text, "PASSWORD = '", "'").unwrap();
        state.logins.insert(name.unwrap(), password);
    } else if text.starts_with("DROP LOGIN") {
        let name = name.unwrap();
        if !state.keeps && state.logins.remove(&name).is_none() {
            return Some([error(15_151, "Cannot drop the login"), done(2)].concat());
        }
    } else if text.starts_with("ALTER LOGIN") && text.contains(" WITH PASSWORD = ") {
        return Some(changed(text, state));
    } else if text.starts_with("ALTER LOGIN") {
        state.disabled.extend(name);
    } else if text.contains("sys.dm_exec_sessions") {
        return Some(row("57"));
    } else if text.contains("CREATE USER [") {
        state.users.extend(between(text, "USER [", "]"));
    } else if text.contains("sys.server_principals") {
        let name = between(text, "name = N'", "'").unwrap();
        let disabled = !text.contains("is_disabled") || state.disabled.contains(&name);
        let there = state.logins.contains_key(&name) && disabled;
        return Some(row(if there { "1" } else { "0" }));
    } else if text.contains("sys.database_principals") {
        let name = between(text, "name = N'", "'").unwrap();
        return Some(row(if state.users.contains(&name) { "1" } else { "0" }));
    } else if text.contains("NONSENSE") {
        return Some([error(102, &format!("Incorrect syntax near '{text}'")), done(2)].concat());
    }
    Some(done(0))
}

/// Reads names and passwords as the server does: with what ends them doubled.
fn changed(text: &str, state: &mut State) -> Vec<u8> {
    let take = |rest: &mut &str, before: &str, quote: char| {
        *rest = rest.strip_prefix(before)?;
        let mut taken = String::new();
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
                *rest = &rest[at + c.len_utf8()..];
                return Some(taken);
            }
            taken.push(c);
        }
        None
    };
    let mut rest = text;
    let name = take(&mut rest, "ALTER LOGIN [", ']').unwrap();
    let password = take(&mut rest, " WITH PASSWORD = N'", '\'').unwrap();
    let old = take(&mut rest, " OLD_PASSWORD = N'", '\'');
    assert_eq!(rest, "", "{text}");
    match state.logins.get(&name) {
        Some(known) if old.is_none_or(|old| old == *known) => {
            state.logins.insert(name, password);
            done(0)
        }
        _ => [error(15_151, &format!("Cannot alter the login, near '{text}'")), done(2)].concat(),
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0.to_owned())
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn wide(bytes: &[u8]) -> String {
    let units: Vec<_> =
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).unwrap()
}

/// What ends an answer; 2 says that something failed.
fn done(status: u16) -> Vec<u8> {
    [&[0xfd][..], &status.to_le_bytes(), &[0; 10]].concat()
}

fn error(number: u32, text: &str) -> Vec<u8> {
    let message = utf16(text);
    let chars = u16::try_from(message.len() / 2).unwrap().to_le_bytes();
    // State, severity, the text, no server, no procedure, the first line.
    let body =
        [&number.to_le_bytes()[..], &[1, 14], &chars, &message, &[0, 0], &1_u32.to_le_bytes()];
    let body = body.concat();
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    [&[0xaa][..], &length, &body].concat()
}

/// One row of one column: varchar(12), as SQL_Latin1_General_CP1_CI_AS.
fn row(text: &str) -> Vec<u8> {
    let column = [0xa7, 12, 0, 0x09, 0x04, 0xd0, 0x00, 0x34, 0];
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    let row = [&[0xd1][..], &length, text.as_bytes()].concat();
    [&[0x81, 1, 0][..], &[0; 6], &column, &row, &done(0x10)].concat()
}
