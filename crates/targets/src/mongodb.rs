//! Sessions on servers that speak MongoDB's protocol (OP_MSG, MongoDB 3.6 and newer).
//!
//! The protocol is spoken here and not by the vendor's driver, because that resolves names, follows
//! what servers say about other servers, and connects there by itself: past what this gateway's
//! operator allows. A session is with one of the named hosts, which must take writes.

mod address;
mod bson;
mod error;
mod scram;
#[cfg(test)]
mod tests;

use keysherd_base::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

pub use self::address::{Given, Site};
pub use self::bson::Doc;
use self::bson::{Item, Items};
pub use self::error::CommandError;
use self::scram::Scram;
use crate::server::Stream;
use crate::{Server, WRONG_CREDENTIALS, Way};

/// The operation of messages, by its number in the protocol.
const OP_MSG: i32 = 2_013;
/// Bytes before a message's document: the head, flags, and the kind of its only section.
const HEAD_BYTES: usize = 16;
const BEFORE_BYTES: usize = HEAD_BYTES + 5;
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How many times a server may go on talking while somebody signs in.
const STEPS_MAX: usize = 2;

/// A session. It ends with this value.
pub struct Session {
    stream: Stream,
    number: i32,
}

/// Signs in to the first of the hosts that takes writes.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error code.
pub async fn connect(site: &Site, way: &Way) -> Result<Session, Fault> {
    let mut last = Fault::internal("a site without servers");
    // Each has its share, so that one that is silent does not keep the others from being asked.
    let share = way.timeout / u32::try_from(site.servers().len()).unwrap_or(1).max(1);
    for server in site.servers() {
        let signing_in = async {
            let mut session = Session::open(server, way).await?;
            session.need_primary(server).await?;
            session.sign_in(server, site.source(), way).await?;
            Ok::<_, Fault>(session)
        };
        match timeout(share, signing_in).await {
            Ok(Ok(session)) => return Ok(session),
            // What is wrong at one is wrong at all.
            Ok(Err(fault)) if fault.code() == WRONG_CREDENTIALS => return Err(fault),
            Ok(Err(fault)) => last = fault,
            Err(_) => last = server.late(),
        }
    }
    Err(last)
}

impl Session {
    async fn open(server: &Server, way: &Way) -> Result<Self, Fault> {
        server.credentials()?;
        let tcp = server.tcp(way).await?;
        Ok(Self { stream: server.encrypt(tcp).await?, number: 0 })
    }

    async fn need_primary(&mut self, server: &Server) -> Result<(), Fault> {
        let told = self.told("admin", Doc::new().number("hello", 1)).await;
        let told = told.map_err(|e| e.fault(&format!("greeting {}", server.place()), None))?;
        match told.get("isWritablePrimary") {
            Some(Item::Flag(true)) => Ok(()),
            _ => Err(Fault::conflict(format!(
                "{} takes no writes; name the primary of its replica set, or all its members with \
                 commas between",
                server.place()
            ))),
        }
    }

    async fn sign_in(&mut self, server: &Server, source: &str, way: &Way) -> Result<(), Fault> {
        let (user, password) = server.credentials()?;
        let what = format!("signing in to {}", server.place());
        let secret = password.expose().as_str();
        if !secret.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(Fault::bad_request(
                "the password has characters that are not ASCII, which this version does not sign \
                 in to MongoDB with",
            ));
        }
        let failed = |error: CommandError| {
            let fault = error.fault(&what, Some(secret));
            if error.says_wrong_credentials() { fault.with_code(WRONG_CREDENTIALS) } else { fault }
        };
        let strange = || {
            let why = "the server does not say what SCRAM-SHA-256 demands";
            Fault::forbidden(format!("{what} failed: {why}"))
        };
        let scram = Scram::begin(user, &way.rng).map_err(Fault::internal)?;
        let begin = Doc::new()
            .number("saslStart", 1)
            .text("mechanism", "SCRAM-SHA-256")
            .bytes("payload", &scram.first())
            .doc("options", Doc::new().flag("skipEmptyExchange", true));
        let told = self.told(source, begin).await.map_err(failed)?;
        let (number, challenge) = conversation(&told).ok_or_else(strange)?;
        let (answer, expected) = scram.answer(challenge, password).ok_or_else(strange)?;
        let goes_on = |payload: &[u8]| {
            let doc = Doc::new().number("saslContinue", 1).number("conversationId", number);
            doc.bytes("payload", payload)
        };
        let mut told = self.told(source, goes_on(&answer)).await.map_err(failed)?;
        let (_, last) = conversation(&told).ok_or_else(strange)?;
        if !expected.is_proven_by(last) {
            return Err(Fault::forbidden(format!(
                "{what} failed: the server does not prove that it knows the password, so it is \
                 not the one that was meant"
            )));
        }
        for _ in 0..STEPS_MAX {
            if told.get("done") == Some(&Item::Flag(true)) {
                return Ok(());
            }
            told = self.told(source, goes_on(b"")).await.map_err(failed)?;
        }
        Err(strange())
    }

    /// Runs a command on a database.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn ask(&mut self, database: &str, command: Doc) -> Result<(), CommandError> {
        self.told(database, command).await.map(drop)
    }

    /// Whether a database has this user.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn has_user(&mut self, database: &str, user: &str) -> Result<bool, CommandError> {
        let whom = Doc::new().text("user", user).text("db", database);
        let told = self.told(database, Doc::new().doc("usersInfo", whom)).await?;
        match told.get("users") {
            Some(Item::List(users)) => Ok(!users.is_empty()),
            _ => Err(CommandError::strange()),
        }
    }

    /// Sends a command; gives what is answered.
    async fn told(&mut self, database: &str, command: Doc) -> Result<Items, CommandError> {
        let document = command.text("$db", database).finish();
        self.number = self.number.wrapping_add(1);
        let length = i32::try_from(BEFORE_BYTES + document.expose().len())
            .map_err(|_| CommandError::strange())?;
        let mut head = Vec::with_capacity(BEFORE_BYTES);
        for number in [length, self.number, 0, OP_MSG, 0] {
            head.extend(number.to_le_bytes());
        }
        head.push(0);
        self.stream.write_all(&head).await.map_err(CommandError::lost)?;
        self.stream.write_all(document.expose()).await.map_err(CommandError::lost)?;
        self.stream.flush().await.map_err(CommandError::lost)?;
        let items = self.heard().await?;
        match CommandError::of(&items) {
            Some(error) => Err(error),
            None => Ok(items),
        }
    }

    async fn heard(&mut self) -> Result<Items, CommandError> {
        let mut head = [0; HEAD_BYTES];
        self.stream.read_exact(&mut head).await.map_err(CommandError::lost)?;
        let number = |at: usize| {
            head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes)
        };
        let length = number(0).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let fits = (BEFORE_BYTES..=ANSWER_BYTES_MAX).contains(&length);
        if !fits || number(8) != Some(self.number) || number(12) != Some(OP_MSG) {
            return Err(CommandError::strange());
        }
        let mut body = vec![0; length - HEAD_BYTES];
        self.stream.read_exact(&mut body).await.map_err(CommandError::lost)?;
        // No checksum, nothing else that follows, and a document as the only section.
        match body.split_first_chunk::<5>() {
            Some(([0, 0, 0, 0, 0], document)) => {
                bson::read(document).ok_or_else(CommandError::strange)
            }
            _ => Err(CommandError::strange()),
        }
    }
}

/// The number of a talk about signing in, and what the server says in it.
fn conversation(told: &Items) -> Option<(i32, &[u8])> {
    let Item::Number(number) = told.get("conversationId")? else { return None };
    let Item::Bytes(said) = told.get("payload")? else { return None };
    let whole = number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(number);
    // It was read from an integer of this size.
    let number = whole.then(|| format!("{number:.0}").parse().ok()).flatten()?;
    Some((number, said))
}
