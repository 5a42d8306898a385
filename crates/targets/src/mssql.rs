//! Sessions on servers that speak SQL Server's protocol (TDS 7.4): SQL Server and Azure SQL.
//!
//! The connection is ours, so it goes where the operator allows and nowhere else: a server that
//! sends its clients to another one is refused.

use futures_core::Stream as _;
use keysherd_base::{Fault, FaultKind};
use keysherd_egress::heard::{Bound, Heard};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem, Row};
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use crate::server::Stream;
use crate::words::with_words;
use crate::{Server, WRONG_CREDENTIALS, Way};

/// Rows of an answer at most.
const ROWS_MAX: usize = 1_024;

/// A session. It ends with this value.
pub struct Session {
    client: Client<Compat<Stream>>,
}

/// What went wrong with a statement.
#[derive(Debug)]
pub struct StatementError {
    /// The server's error number; `None`: it did not answer.
    code: Option<u32>,
    /// What the driver itself refused.
    refused: Option<&'static str>,
    /// For the log.
    text: String,
}

/// Words for error numbers.
const WORDS: &[(u32, FaultKind, &str)] = &[
    (102, FaultKind::BadRequest, "it is not written as the server understands it"),
    (156, FaultKind::BadRequest, "it is not written as the server understands it"),
    (208, FaultKind::BadRequest, "there is no such table"),
    (229, FaultKind::Forbidden, "the user of the target may not do that to that table"),
    (262, FaultKind::Forbidden, "the user of the target lacks the permission for that"),
    (297, FaultKind::Forbidden, "the user of the target may not do that"),
    (911, FaultKind::BadRequest, "there is no such database"),
    (916, FaultKind::Forbidden, "the user of the target may not use that database"),
    (1205, FaultKind::Unavailable, "others needed the same at the same time; try again"),
    (1222, FaultKind::Unavailable, "somebody else holds what it needs; try again"),
    (3906, FaultKind::Forbidden, "the server only reads; take the primary"),
    (4060, FaultKind::Forbidden, "there is no such database, or this user may not use it"),
    (4064, FaultKind::Forbidden, "this user's own database cannot be opened"),
    (15023, FaultKind::Conflict, "there is a user of this name already"),
    (15025, FaultKind::Conflict, "there is a login of this name already"),
    (15063, FaultKind::Conflict, "the login has a user of another name there already"),
    (15116, FaultKind::BadRequest, "the password does not fit the server's policy"),
    (15118, FaultKind::BadRequest, "the password does not fit the server's policy"),
    (15138, FaultKind::Forbidden, "the user owns something in the database"),
    (
        15151,
        FaultKind::Conflict,
        "there is no such thing, or the user of the target may not see it",
    ),
    (15247, FaultKind::Forbidden, "the user of the target lacks the permission for that"),
    (15401, FaultKind::BadRequest, "there is no such login"),
    (15434, FaultKind::Unavailable, "the user is signed in"),
    (18452, FaultKind::Forbidden, "this user does not sign in with a password"),
    (18456, FaultKind::Forbidden, "the user or the password is wrong"),
    (18470, FaultKind::Forbidden, "the user is disabled"),
    (18487, FaultKind::Forbidden, "the password has expired"),
    (18488, FaultKind::Forbidden, "the password must be changed first"),
    (33064, FaultKind::BadRequest, "the password does not fit the server's policy"),
    (40613, FaultKind::Unavailable, "the database is not available; try again"),
];
/// What servers say to whom they do not let in.
const WRONG: u32 = 18_456;

/// Signs in to a server.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error number.
pub async fn connect(server: &Server, way: &Way) -> Result<Session, Fault> {
    let connecting = async {
        let (user, password) = server.credentials()?;
        let mut config = Config::new();
        config.host(server.place().host());
        config.port(server.place().port());
        if let Some(database) = server.database() {
            config.database(database);
        }
        config.application_name("keysherd");
        config.authentication(AuthMethod::sql_server(user, password.expose()));
        config.encryption(EncryptionLevel::NotSupported);
        if let Some((authority, name)) = server.tls_given()? {
            config.encryption(EncryptionLevel::Required);
            config.hostname_in_certificate(name);
            if let Some(authority) = authority {
                config.trust_cert_ca_bundle(authority.as_bytes());
            }
        }
        let tcp = server.tcp(way).await?;
        // The driver encrypts by itself, inside of its own messages.
        let stream: Stream = Box::new(Heard::new(tcp, Bound::default()));
        let what = format!("signing in to {}", server.place());
        let at_sign_in = |error: StatementError| {
            let fault = error.fault(&what, Some(password.expose().as_str()));
            if error.code == Some(WRONG) { fault.with_code(WRONG_CREDENTIALS) } else { fault }
        };
        // A handshake is a large thing to carry around.
        let client = Box::pin(Client::connect(config, stream.compat_write())).await;
        let client = client.map_err(|error| at_sign_in(StatementError::of(&error)))?;
        let mut session = Session { client };
        // A gateway that is gone must not hold locks for hours.
        let milliseconds = way.timeout.as_millis().clamp(1_000, 600_000);
        let limits = format!("SET LOCK_TIMEOUT {milliseconds}");
        session.run(&limits).await.map_err(at_sign_in)?;
        Ok(session)
    };
    timeout(way.timeout, connecting).await.map_err(|_| server.late())?
}

impl Session {
    /// Runs one statement.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn run(&mut self, statement: &str) -> Result<(), StatementError> {
        self.few(statement).await.map(drop)
    }

    /// The first column of what a question is answered with, as texts: it must be of texts.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn texts(&mut self, question: &str) -> Result<Vec<String>, StatementError> {
        let rows = self.few(question).await?;
        let text = |row: &Row| row.try_get::<&str, _>(0).ok().flatten().map(str::to_owned);
        Ok(rows.iter().filter_map(text).collect())
    }

    /// The rows of an answer, which a server of somebody's choice may never end.
    async fn few(&mut self, question: &str) -> Result<Vec<Row>, StatementError> {
        let of = |error: Error| StatementError::of(&error);
        let mut answer = self.client.simple_query(question).await.map_err(of)?;
        let mut rows = Vec::new();
        let mut answer = std::pin::Pin::new(&mut answer);
        while let Some(item) = std::future::poll_fn(|c| answer.as_mut().poll_next(c)).await {
            match item.map_err(of)? {
                QueryItem::Row(row) if rows.len() < ROWS_MAX => rows.push(row),
                QueryItem::Row(_) => {
                    let text = "the server answers with too many rows".to_owned();
                    return Err(StatementError { code: None, refused: None, text });
                }
                QueryItem::Metadata(_) => {}
            }
        }
        Ok(rows)
    }
}

impl StatementError {
    fn of(error: &Error) -> Self {
        let refused = match error {
            Error::Tls(_) => {
                Some("TLS fails; check ssl-certificate and the name in its certificate")
            }
            Error::Routing { .. } => {
                Some("the server sends its clients to another one; name that one as the host")
            }
            Error::Encoding(_) | Error::Conversion(_) | Error::Protocol(_) => {
                Some("the server does not speak this protocol, or not encrypted as it is wanted")
            }
            _ => None,
        };
        Self { code: error.code(), refused, text: error.to_string() }
    }

    /// The server's error number.
    pub fn code(&self) -> Option<u32> {
        self.code
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let known = WORDS.iter().find(|(code, ..)| Some(*code) == self.code);
        let (kind, public) = match (self.code, known, self.refused) {
            (Some(code), Some((_, kind, words)), _) => {
                (*kind, format!("{what} failed with {code}: {words}"))
            }
            (Some(code), None, _) => {
                (FaultKind::BadRequest, format!("{what} failed with {code}: the server refuses it"))
            }
            (None, _, Some(why)) => (FaultKind::Forbidden, format!("{what} failed: {why}")),
            (None, _, None) => {
                let words = "the connection was lost, or is none to an SQL Server";
                (FaultKind::Unavailable, format!("{what} failed: {words}"))
            }
        };
        with_words(Fault::new(kind, public), &self.text, secret)
    }
}
