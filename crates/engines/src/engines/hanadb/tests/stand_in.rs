//! A stand-in for SAP HANA: the messages of its protocol (SQL Command Network Protocol), both ways
//! of signing in, and as much of its language as users need.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use keysherd_crypto::hash::{hmac_sha256, pbkdf2_sha256, sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::testing::tls;

const ITERATIONS: u32 = 15_000;
const SALT: [u8; 16] = [3; 16];
const RANDOM: [u8; 48] = [4; 48];

#[derive(Default)]
pub(crate) struct State {
    /// Users with their passwords.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) deactivated: BTreeSet<String>,
    /// Who has to change the password first.
    pub(crate) forced: BTreeSet<String>,
    /// Statements in the order in which they came.
    pub(crate) said: Vec<String>,
    /// Statements that begin so are refused with this number.
    pub(crate) refuses: Vec<(&'static str, i32)>,
    /// Goes away when a statement begins so.
    pub(crate) gone_at: Option<&'static str>,
    /// Knows the older way to sign in only.
    pub(crate) is_old: bool,
    /// Does not know the passwords that it lets people in with.
    pub(crate) is_false: bool,
    /// Sends its clients elsewhere.
    pub(crate) routes: bool,
    /// Leaves users where they are, whatever is said.
    pub(crate) keeps: bool,
    /// Numbers of sessions that everybody has whom somebody asks for.
    pub(crate) sessions: BTreeSet<u32>,
    /// Shows nobody the sessions of others.
    pub(crate) hides: bool,
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
        let (acceptor, authority) = tls::acceptor(rustls::ALL_VERSIONS);
        (Self::start(Some(acceptor)).await, authority)
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let state = Arc::<Mutex<State>>::default();
        state.lock().unwrap().users.insert("KEEPER".to_owned(), super::ADMIN.to_owned());
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served(stream, acceptor.clone(), Arc::clone(&kept)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn has(&self, user: &str) -> bool {
        self.state.lock().unwrap().users.contains_key(user)
    }
}

async fn served(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    match acceptor {
        None => serve(stream, state).await,
        Some(acceptor) => serve(acceptor.accept(stream).await.ok()?, state).await,
    }
}

/// Somebody who is connected.
#[derive(Default)]
struct Guest {
    challenge: Vec<u8>,
    user: Option<String>,
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    let mut hello = [0; 14];
    stream.read_exact(&mut hello).await.ok()?;
    assert_eq!(hello, [255, 255, 255, 255, 4, 20, 0, 4, 1, 0, 0, 1, 1, 1]);
    stream.write_all(&[4, 20, 0, 4, 1, 0, 0, 0]).await.ok()?;
    let mut guest = Guest::default();
    loop {
        let mut head = [0; 32];
        stream.read_exact(&mut head).await.ok()?;
        let mut body = vec![0; number(&head, 12)];
        stream.read_exact(&mut body).await.ok()?;
        // One segment, a request; what a statement does is committed.
        assert_eq!((head[20], number(&body, 0), body[12]), (1, body.len(), 1));
        assert!(body[13] != 2 || body[14] == 1);
        let said = answered(body[13], &parts(&body), &mut guest, &mut state.lock().unwrap())?;
        stream.write_all(&reply(&said)).await.ok()?;
        stream.flush().await.ok()?;
    }
}

/// The kinds of a request's parts with what they are.
fn parts(body: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut at = 24;
    for _ in 0..body[8] {
        let length = number(body, at + 8);
        assert!(number(body, at + 12) >= body.len() - at, "what is left");
        found.insert(body[at], body[at + 16..at + 16 + length].to_vec());
        at += 16 + length.next_multiple_of(8);
    }
    assert_eq!(at, body.len());
    found
}

type Parts = Vec<(u8, Vec<u8>)>;

fn reply(parts: &Parts) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, bytes) in parts {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let count = u8::from(!bytes.is_empty());
        body.extend([&[*kind, 0, count, 0, 0, 0, 0, 0][..], &length, &[0; 4], bytes].concat());
        body.resize(body.len().next_multiple_of(8), 0);
    }
    let length = u32::try_from(body.len() + 24).unwrap().to_le_bytes();
    let refuses = parts.iter().any(|(kind, _)| *kind == 6);
    let kind = if refuses { 5 } else { 2 };
    let count = u8::try_from(parts.len()).unwrap();
    let head = [&9_i64.to_le_bytes()[..], &[0; 4], &length, &length, &[1, 0], &[0; 10]];
    let segment = [&length[..], &[0; 4], &[count, 0, 1, 0, kind, 0], &[0; 10]];
    [head.concat(), segment.concat(), body].concat()
}

fn answered(
    kind: u8,
    parts: &BTreeMap<u8, Vec<u8>>,
    guest: &mut Guest,
    state: &mut State,
) -> Option<Parts> {
    Some(match kind {
        82 => vec![(67, vec![4, 28, u8::from(!state.routes)])],
        65 if state.routes => {
            let host = b"elsewhere.example";
            let length = u16::try_from(host.len()).unwrap().to_le_bytes();
            let place = [&[2, 29][..], &length, host].concat();
            vec![error(-10_709, "redirect"), (67, place)]
        }
        65 => {
            let said = fields(&parts[&33]);
            let method: &[u8] = if state.is_old { b"SCRAMSHA256" } else { b"SCRAMPBKDF2SHA256" };
            let at = said.iter().position(|field| field == method).unwrap();
            guest.challenge.clone_from(&said[at + 1]);
            let work = ITERATIONS.to_be_bytes();
            let data: &[&[u8]] = &[&SALT, &RANDOM, &work];
            let data = packed(if state.is_old { &data[..2] } else { data });
            vec![(33, packed(&[method, &data]))]
        }
        66 => {
            let said = fields(&parts[&33]);
            let user = String::from_utf8(said[0].clone()).unwrap();
            let right =
                state.users.get(&user).map(|password| proofs(password, guest, state.is_old));
            match right {
                Some((client, server))
                    if said[2].get(3..) == Some(&client[..])
                        && !state.deactivated.contains(&user) =>
                {
                    guest.user = Some(user);
                    let proof = if state.is_false { vec![7; 32] } else { server };
                    let last = if state.is_old { Vec::new() } else { packed(&[&proof]) };
                    vec![(33, packed(&[&said[1], &last])), (42, b"\x2d\x1d\x03\0HDB".to_vec())]
                }
                _ => vec![error(10, &format!("authentication failed for {user}"))],
            }
        }
        2 => {
            let text = String::from_utf8(parts[&3].clone()).unwrap();
            statement(&text, guest.user.as_deref()?, state)?
        }
        _ => return None,
    })
}

/// What a client and the server prove that they know the password with.
fn proofs(password: &str, guest: &Guest, is_old: bool) -> (Vec<u8>, Vec<u8>) {
    let secret = password.as_bytes();
    let salted = match is_old {
        true => hmac_sha256(secret, &[&SALT]),
        false => *pbkdf2_sha256(secret, &SALT, NonZeroU32::new(ITERATIONS).unwrap()).expose(),
    };
    let key = sha256(&[&salted]);
    let mask = hmac_sha256(&sha256(&[&key]), &[&SALT, &RANDOM, &guest.challenge]);
    let client = key.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    let verifier = hmac_sha256(&salted, &[&SALT]);
    (client, hmac_sha256(&verifier, &[&guest.challenge, &SALT, &RANDOM]).to_vec())
}

fn statement(text: &str, who: &str, state: &mut State) -> Option<Parts> {
    state.said.push(text.to_owned());
    if state.gone_at.is_some_and(|begin| text.starts_with(begin)) {
        return None;
    }
    if let Some((_, code)) = state.refuses.iter().find(|(begin, _)| text.starts_with(begin)) {
        return Some(vec![error(*code, &format!("refused near '{text}'"))]);
    }
    if state.forced.contains(who) && !text.starts_with(&format!("ALTER USER \"{who}\"")) {
        return Some(vec![error(414, "user is forced to change password")]);
    }
    let mut rest = text;
    Some(if taken(&mut rest, "CREATE USER ") {
        let name = name(&mut rest);
        if state.users.contains_key(&name) {
            return Some(vec![error(331, "user name already exists")]);
        }
        set_password(&mut rest, name, who, state)
    } else if taken(&mut rest, "ALTER USER ") {
        let name = name(&mut rest);
        if !state.users.contains_key(&name) {
            return Some(vec![error(332, &format!("invalid user name: near '{text}'"))]);
        }
        if rest == " DEACTIVATE USER NOW" {
            state.deactivated.insert(name);
            return Some(Vec::new());
        }
        set_password(&mut rest, name, who, state)
    } else if taken(&mut rest, "DROP USER ") {
        let name = name(&mut rest);
        assert!(["", " CASCADE"].contains(&rest), "{text}");
        match state.keeps || state.users.remove(&name).is_some() {
            true => Vec::new(),
            false => vec![error(332, "invalid user name")],
        }
    } else if text.contains("SYS.M_CONNECTIONS") {
        let after = text.split("CONNECTION_ID > ").nth(1).unwrap();
        let after: u32 = after.split(' ').next().unwrap().parse().unwrap();
        let next = state.sessions.range(after + 1..).next().filter(|_| !state.hides);
        next.map_or_else(|| no_rows(state.is_old), |id| row(&id.to_string()))
    } else if text.contains("SYS.EFFECTIVE_PRIVILEGES") {
        row(if state.hides { "0" } else { "1" })
    } else if let Some(id) = text.strip_prefix("ALTER SYSTEM DISCONNECT SESSION ") {
        let id = id.trim_matches('\'').parse().unwrap();
        match state.sessions.remove(&id) {
            true => Vec::new(),
            false => vec![error(2, "general error: no such session")],
        }
    } else if text.contains("SYS.USERS") {
        let name = text.split('\'').nth(1).unwrap();
        let fits = !text.contains("USER_DEACTIVATED") || state.deactivated.contains(name);
        row(if state.users.contains_key(name) && fits { "1" } else { "0" })
    } else if text.contains("NONSENSE") {
        vec![error(257, &format!("sql syntax error: incorrect syntax near \"{text}\""))]
    } else {
        Vec::new()
    })
}

fn set_password(rest: &mut &str, user: String, who: &str, state: &mut State) -> Parts {
    assert!(taken(rest, " PASSWORD "), "{rest}");
    let password = name(rest);
    match (*rest, user == who) {
        ("", true) | (" NO FORCE_FIRST_PASSWORD_CHANGE", false) => {
            state.forced.remove(&user);
        }
        ("", false) => {
            state.forced.insert(user.clone());
        }
        _ => return vec![error(257, "sql syntax error")],
    }
    state.users.insert(user, password);
    Vec::new()
}

fn taken(rest: &mut &str, before: &str) -> bool {
    let after = rest.strip_prefix(before);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// A name, or a password, as the server reads it: in double quotes, with those in it doubled.
fn name(rest: &mut &str) -> String {
    assert!(taken(rest, "\""), "{rest}");
    let mut name = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '"' && chars.next_if(|(_, next)| *next == '"').is_none() {
            *rest = &rest[at + 1..];
            return name;
        }
        name.push(c);
    }
    panic!("a quote has no end");
}

fn error(code: i32, text: &str) -> (u8, Vec<u8>) {
    let length = i32::try_from(text.len()).unwrap();
    let head = [code, 1, length].map(i32::to_le_bytes).concat();
    (6, [&head[..], &[1], b"HY000", text.as_bytes()].concat())
}

/// Columns and no rows, in both of the ways that that can be said.
fn no_rows(is_short: bool) -> Parts {
    let parts = vec![(48, vec![0; 24]), (13, vec![0; 8]), (5, Vec::new())];
    parts.into_iter().filter(|(kind, _)| !is_short || *kind == 48).collect()
}

/// One row of one column.
fn row(text: &str) -> Parts {
    let length = u8::try_from(text.len()).unwrap();
    vec![(48, vec![0; 24]), (13, vec![0; 8]), (5, [&[length][..], text.as_bytes()].concat())]
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).try_into().unwrap()
}

fn packed(fields: &[&[u8]]) -> Vec<u8> {
    let mut whole = u16::try_from(fields.len()).unwrap().to_le_bytes().to_vec();
    for field in fields {
        whole.push(u8::try_from(field.len()).unwrap());
        whole.extend(*field);
    }
    whole
}

fn fields(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &bytes[2..];
    let mut found = Vec::new();
    for _ in 0..bytes[0] {
        let length = usize::from(rest[0]);
        found.push(rest[1..=length].to_vec());
        rest = &rest[1 + length..];
    }
    assert!(rest.is_empty());
    found
}
