//! Sessions on SAP HANA (SQL Command Network Protocol, version 4.1).
//!
//! The protocol is spoken here and not by a driver, because drivers connect to wherever a server
//! sends its clients, with the password at hand: past what this gateway's operator allows. A server
//! that does so is refused, with the place it names.

mod frames;
mod scram;
#[cfg(test)]
mod tests;

use keysherd_base::{Fault, FaultKind, SecretBuffer, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use self::frames::{Piece, Reply, Said, fields, options, push_cesu8, texts};
use self::scram::Scram;
use crate::server::Stream;
use crate::words::with_words;
use crate::{NOT_ADMITTED, Server, WRONG_CREDENTIALS, Way};

/// Kinds of messages.
const EXECUTE_DIRECT: u8 = 2;
const AUTHENTICATE: u8 = 65;
const CONNECT: u8 = 66;
const DB_CONNECT_INFO: u8 = 82;
/// Kinds of parts.
const COMMAND: u8 = 3;
const RESULT_SET: u8 = 5;
const CLIENT_CONTEXT: u8 = 29;
const AUTHENTICATION: u8 = 33;
const CONNECT_OPTIONS: u8 = 42;
const FETCH_SIZE: u8 = 45;
const METADATA: u8 = 48;
const WHERE_TO: u8 = 67;
/// What is said first: version 4.20, protocol 4.1, and that numbers are little-endian.
const HELLO: [u8; 14] = [0xff, 0xff, 0xff, 0xff, 4, 20, 0, 4, 1, 0, 0, 1, 1, 1];
/// How long the answer to that is, in bytes.
const HELLO_BACK_BYTES: usize = 8;
/// Rows of an answer at most.
const ROWS_MAX: u32 = 1_024;
/// Longest name of a machine, in bytes (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A session. It ends with this value.
pub struct Session {
    stream: Stream,
    /// By which the server knows it.
    id: i64,
    /// Of the last message.
    number: u32,
}

/// What went wrong with a statement.
#[derive(Debug)]
pub struct StatementError {
    /// The server's error number; `None`: it did not answer.
    code: Option<i32>,
    /// What is not done here.
    refused: Option<String>,
    /// For the log.
    text: String,
}

/// Words for error numbers.
const WORDS: &[(i32, FaultKind, &str)] = &[
    (10, FaultKind::Forbidden, "the user or the password is wrong, or the user may not sign in"),
    (129, FaultKind::Unavailable, "the server rolled it back; try again"),
    (131, FaultKind::Unavailable, "somebody else holds what it needs; try again"),
    (133, FaultKind::Unavailable, "others needed the same at the same time; try again"),
    (257, FaultKind::BadRequest, "it is not written as the server understands it"),
    (258, FaultKind::Forbidden, "the user of the target lacks the privilege for that"),
    (259, FaultKind::BadRequest, "there is no such table"),
    (260, FaultKind::BadRequest, "there is no such column"),
    (331, FaultKind::Conflict, "there is a user of this name already"),
    (332, FaultKind::BadRequest, "there is no such user"),
    (362, FaultKind::BadRequest, "there is no such schema"),
    (386, FaultKind::Conflict, "there is a schema of this name already"),
    (412, FaultKind::BadRequest, "the password does not fit the server's policy"),
    (413, FaultKind::Conflict, "the password was one of this user's already"),
    (414, FaultKind::Forbidden, "the user has to change the password first"),
    (415, FaultKind::Forbidden, "the user is deactivated"),
    (416, FaultKind::Forbidden, "the user is locked for a while"),
    (417, FaultKind::Forbidden, "the user owns something, and goes only with it (CASCADE)"),
];
const WRONG: i32 = 10;
/// What is said to whom the password would let in.
const MUST_CHANGE: i32 = 414;

/// The name of a user as the server has it: without quotes around it all its letters are capital
/// ones, as SAP's own clients have it.
pub fn account_name(given: &str) -> String {
    let inside = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.map_or_else(|| given.to_uppercase(), |name| name.replace("\"\"", "\""))
}

/// Signs in to a server.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error number, and where
/// it sends its clients.
pub async fn connect(server: &Server, way: &Way) -> Result<Session, Fault> {
    timeout(way.timeout, signed_in(server, way)).await.map_err(|_| server.late())?
}

async fn signed_in(server: &Server, way: &Way) -> Result<Session, Fault> {
    let (user, password) = server.credentials()?;
    let what = format!("signing in to {}", server.place());
    let failed = |error: StatementError| {
        let fault = error.fault(&what, Some(password.expose().as_str()));
        match error.code {
            Some(WRONG) => fault.with_code(WRONG_CREDENTIALS),
            Some(MUST_CHANGE) => fault.with_code(NOT_ADMITTED),
            _ => fault,
        }
    };
    let tcp = server.tcp(way).await?;
    let mut session = Session { stream: server.encrypt(tcp).await?, id: 0, number: 0 };
    session.greet().await.map_err(|error| failed(StatementError::lost(&error)))?;
    if let Some(database) = server.database() {
        session.need_database(database).await.map_err(failed)?;
    }
    let scram = Scram::begin(&way.rng, server.is_overheard()).map_err(Fault::internal)?;
    session.sign_in(&account_name(user), password, &scram).await.map_err(failed)?;
    Ok(session)
}

impl Session {
    async fn greet(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&HELLO).await?;
        self.stream.flush().await?;
        self.stream.read_exact(&mut [0; HELLO_BACK_BYTES]).await.map(drop)
    }

    /// Finds out whether the server is the one that has this database.
    async fn need_database(&mut self, database: &str) -> Result<(), StatementError> {
        let mut wanted = Vec::new();
        push_option(&mut wanted, 1, database);
        push_option(&mut wanted, 5, "");
        let reply = self.told(DB_CONNECT_INFO, &[(WHERE_TO, 2, &wanted)]).await?;
        match reply.part(WHERE_TO).and_then(place_of) {
            Some((true, _)) => Ok(()),
            Some((false, place)) => Err(elsewhere(place)),
            None => Err(StatementError::strange()),
        }
    }

    async fn sign_in(
        &mut self,
        user: &str,
        password: &SecretString,
        scram: &Scram,
    ) -> Result<(), StatementError> {
        let mut context = Vec::new();
        for (number, text) in (1..).zip([env!("CARGO_PKG_VERSION"), "Keysherd", "keysherd"]) {
            push_option(&mut context, number, text);
        }
        let mut name = SecretBuffer::with_capacity(2 * user.len());
        push_cesu8(&mut name, user);
        let name = name.finish();
        let asking = fields(&[&[name.expose().as_slice()], scram.offers().as_slice()].concat())?;
        let parts = [(CLIENT_CONTEXT, 3, context.as_slice()), (AUTHENTICATION, 1, &asking)];
        let reply = self.told(AUTHENTICATE, &parts).await?;
        let challenge = reply.part(AUTHENTICATION).ok_or_else(StatementError::strange)?;
        let answer = scram.answer(&challenge.bytes, password);
        let answer = answer.ok_or_else(|| {
            StatementError::refused(
                "the server does not say what signing in by password demands, or wants it done in \
                 a way by which it proves nothing, which takes ssl",
            )
        })?;
        let answering = fields(&[name.expose(), answer.method(), answer.proof()])?;
        let mut wishes = Vec::new();
        // Nobody is sent to another server for a statement, and data are as they always were.
        for (number, value) in [(15, 0_i32), (23, 1)] {
            wishes.extend([number, 3]);
            wishes.extend(value.to_le_bytes());
        }
        push_option(&mut wishes, 32, "keysherd");
        let parts = [(AUTHENTICATION, 1, answering.as_slice()), (CONNECT_OPTIONS, 3, &wishes)];
        let reply = self.told(CONNECT, &parts).await?;
        let proof = reply.part(AUTHENTICATION).map_or(&[][..], |part| &part.bytes);
        if !answer.is_proven_by(proof) {
            return Err(StatementError::refused(
                "the server does not prove that it knows the password, so it is not the one that \
                 was meant",
            ));
        }
        self.id = reply.session;
        Ok(())
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn run(&mut self, statement: &str) -> Result<(), StatementError> {
        self.asked(statement, &[]).await.map(drop)
    }

    /// What a question is answered with, which must be one column of texts: the first 1024 rows.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn texts(&mut self, question: &str) -> Result<Vec<String>, StatementError> {
        let rows = ROWS_MAX.to_le_bytes();
        let reply = self.asked(question, &[(FETCH_SIZE, 1, &rows)]).await?;
        match (reply.part(RESULT_SET), reply.part(METADATA)) {
            (Some(part), _) if part.count <= ROWS_MAX as usize => texts(part),
            // Columns, and no rows.
            (None, Some(_)) => Some(Vec::new()),
            _ => None,
        }
        .ok_or_else(StatementError::strange)
    }

    async fn asked(
        &mut self,
        statement: &str,
        more: &[Piece<'_>],
    ) -> Result<Reply, StatementError> {
        let mut text = SecretBuffer::with_capacity(2 * statement.len());
        push_cesu8(&mut text, statement);
        let text = text.finish();
        let parts = [&[(COMMAND, 1, text.expose().as_slice())], more].concat();
        self.told(EXECUTE_DIRECT, &parts).await
    }

    /// Sends a message; gives the answer.
    async fn told(&mut self, kind: u8, parts: &[Piece<'_>]) -> Result<Reply, StatementError> {
        let message = frames::message(self.id, self.number, kind, parts)?;
        self.number = self.number.wrapping_add(1);
        let lost = |error: std::io::Error| StatementError::lost(&error);
        self.stream.write_all(message.expose()).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let reply = frames::heard(&mut self.stream).await.map_err(lost)?;
        let reply = reply.ok_or_else(StatementError::strange)?;
        match (reply.error(), reply.part(WHERE_TO).and_then(place_of)) {
            (Some(_), Some((false, place))) => Err(elsewhere(place)),
            (Some(Said { code, text }), _) => {
                Err(StatementError { code: Some(code), refused: None, text })
            }
            (None, _) => Ok(reply),
        }
    }
}

/// An option that is a text. Those that are sent are short.
fn push_option(into: &mut Vec<u8>, number: u8, text: &str) {
    let mut bytes = SecretBuffer::with_capacity(2 * text.len());
    push_cesu8(&mut bytes, text);
    let bytes = bytes.finish();
    into.extend([number, 29]);
    into.extend(u16::try_from(bytes.expose().len()).unwrap_or_default().to_le_bytes());
    into.extend(bytes.expose());
}

/// Whether the server has the database that was meant, and otherwise which one has it, if it says
/// a place.
fn place_of(part: &frames::Part) -> Option<(bool, Option<String>)> {
    let known = options(part)?;
    let of = |wanted: u8| known.iter().find(|(number, _)| *number == wanted).map(|(_, v)| *v);
    if of(4).is_some_and(|is_here| is_here != [0]) {
        return Some((true, None));
    }
    let host = of(2).and_then(|host| std::str::from_utf8(host).ok()).filter(|host| {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        (1..=HOST_BYTES_MAX).contains(&host.len()) && host.chars().all(plain)
    });
    let port = of(3).and_then(|port| port.try_into().ok()).map(i32::from_le_bytes);
    let port = port.and_then(|port| u16::try_from(port).ok());
    Some((false, host.zip(port).map(|(host, port)| format!("{host}:{port}"))))
}

fn elsewhere(place: Option<String>) -> StatementError {
    let place = place.unwrap_or_else(|| "another one".to_owned());
    StatementError::refused(format!(
        "the server sends its clients to {place}, and this gateway goes where it is told to by \
         the target only; name that one as host and port"
    ))
}

impl StatementError {
    fn lost(error: &std::io::Error) -> Self {
        Self { code: None, refused: None, text: error.to_string() }
    }

    /// What answered does not speak this protocol.
    fn strange() -> Self {
        let text = "the answer is none of this protocol".to_owned();
        Self { code: None, refused: None, text }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self { code: None, refused: Some(why.into()), text: String::new() }
    }

    /// The server's error number.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let known = WORDS.iter().find(|(code, ..)| Some(*code) == self.code);
        let (kind, public) = match (self.code, known, &self.refused) {
            (Some(code), Some((_, kind, words)), _) => {
                (*kind, format!("{what} failed with {code}: {words}"))
            }
            (Some(code), None, _) => {
                (FaultKind::BadRequest, format!("{what} failed with {code}: the server refuses it"))
            }
            (None, _, Some(why)) => (FaultKind::Forbidden, format!("{what} failed: {why}")),
            (None, _, None) => {
                let words = "the connection was lost, or is none to an SAP HANA";
                (FaultKind::Unavailable, format!("{what} failed: {words}"))
            }
        };
        with_words(Fault::new(kind, public), &self.text, secret)
    }
}
