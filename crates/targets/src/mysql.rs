//! Sessions on servers that speak MySQL's protocol: MySQL and MariaDB.

use std::net::{IpAddr, Ipv4Addr};

use keysherd_base::{Fault, FaultKind};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Row, SslOpts};
use tokio::time::timeout;

use self::relay::Relay;
use crate::words::with_words;
use crate::{NOT_ADMITTED, Server, WRONG_CREDENTIALS, Way};

mod packets;
mod relay;
#[cfg(test)]
mod tests;

/// Rows of an answer, and bytes of a piece of one, at most.
const ROWS_MAX: usize = 1_024;
const PACKET_BYTES_MAX: usize = 1 << 20;
/// Most warnings that are kept of one session, and the longest one in characters.
const WARNINGS_MAX: usize = 16;
const WARNING_CHARS_MAX: usize = 200;

/// A session. It ends with this value.
pub struct Session {
    connection: Conn,
    warnings: Vec<String>,
    mariadb: bool,
    /// What carries it: ends after it.
    _relay: Relay,
}

/// What went wrong with a statement.
#[derive(Debug)]
pub struct StatementError {
    /// The server's error number; `None`: it did not answer.
    code: Option<u16>,
    /// What the driver itself refused.
    refused: Option<&'static str>,
    /// For the log.
    text: String,
}

/// Words for error numbers.
const WORDS: &[(u16, FaultKind, &str)] = &[
    (1040, FaultKind::Unavailable, "the server has too many connections"),
    (1044, FaultKind::Forbidden, "the user of the target may not use that database"),
    (1045, FaultKind::Forbidden, "the user or the password is wrong"),
    (1049, FaultKind::BadRequest, "there is no such database"),
    (1064, FaultKind::BadRequest, "it is not written as the server understands it"),
    (1130, FaultKind::Forbidden, "the server lets nobody in from this gateway"),
    (1142, FaultKind::Forbidden, "the user of the target may not do that to that table"),
    (1146, FaultKind::BadRequest, "there is no such table"),
    (1205, FaultKind::Unavailable, "somebody else holds what it needs; try again"),
    (1227, FaultKind::Forbidden, "the user of the target lacks the privilege for that"),
    (1269, FaultKind::Conflict, "there is no such user"),
    (1290, FaultKind::Forbidden, "the server only reads, or is started with an option against it"),
    (1396, FaultKind::Conflict, "there is a user of this name already, or there is none"),
    (1410, FaultKind::Forbidden, "the user of the target may not make users by granting"),
    (1524, FaultKind::BadRequest, "the server has no such way to sign in; take IDENTIFIED BY"),
    (1698, FaultKind::Forbidden, "this user does not sign in with a password"),
    (1819, FaultKind::BadRequest, "the password does not fit the server's policy"),
    (LOCKED, FaultKind::Forbidden, "the user is locked"),
    (EXPIRED, FaultKind::Forbidden, "the password has expired; change it on the server"),
    (3638, FaultKind::BadRequest, "the server's history of passwords has that one"),
    (NEEDS_OLD, FaultKind::BadRequest, "the server wants the old password, too"),
    (3955, FaultKind::Forbidden, "the server lets nobody in under this name for a while"),
    (LOCKED_MARIADB, FaultKind::Forbidden, "the user is locked"),
];

/// What servers say to who gives the right password and may not sign in all the same.
const EXPIRED: u16 = 1862;
const LOCKED: u16 = 3118;
const LOCKED_MARIADB: u16 = 4151;
/// What MySQL says of a new password, for a user who has to say the old one with it.
pub const NEEDS_OLD: u16 = 3892;

/// Signs in to a server.
///
/// # Errors
/// A fault that says where it stopped: nothing that the server said but its error number.
pub async fn connect(server: &Server, way: &Way) -> Result<Session, Fault> {
    let connecting = async {
        let (user, password) = server.credentials()?;
        server.tls_given()?;
        let relay = Relay::new(server, way).await?;
        let ssl = relay.authority().map(|authority| {
            SslOpts::default()
                .with_root_certs(vec![authority.as_bytes().to_vec().into()])
                .with_disable_built_in_roots(true)
                .with_danger_tls_hostname_override(Some(relay::NAME))
        });
        let place = server.place();
        let options = OptsBuilder::default()
            .ip_or_hostname(place.host())
            .tcp_port(relay.port())
            .resolved_ips(Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))
            .user(Some(user))
            .pass(Some(password.expose()))
            .db_name(server.database())
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            .ssl_opts(ssl);
        let at_sign_in = |error: StatementError| {
            let database = server.database().unwrap_or_default();
            let what = format!("signing in to database '{database}' of {place}");
            let fault = error.fault(&what, Some(password.expose().as_str()));
            match error.code() {
                Some(1045) => fault.with_code(WRONG_CREDENTIALS),
                Some(EXPIRED | LOCKED | LOCKED_MARIADB) => fault.with_code(NOT_ADMITTED),
                _ => fault,
            }
        };
        let connection = Conn::new(options).await.map_err(|error| {
            relay.fault().unwrap_or_else(|| at_sign_in(StatementError::of(&error)))
        })?;
        let warnings = Vec::new();
        let mut session = Session { connection, warnings, mariadb: false, _relay: relay };
        let version = session.texts("select version()").await.map_err(at_sign_in)?;
        session.mariadb = version.iter().any(|version| version.contains("MariaDB"));
        let seconds = way.timeout.as_secs().clamp(1, 600);
        // A gateway that is gone must not hold locks for hours.
        let limits = format!(
            "SET SESSION lock_wait_timeout = {seconds}, wait_timeout = {seconds}, \
             net_read_timeout = {seconds}, net_write_timeout = {seconds}"
        );
        session.run(&limits).await.map_err(at_sign_in)?;
        Ok(session)
    };
    timeout(way.timeout, connecting).await.map_err(|_| server.late())?
}

impl Session {
    /// Whether the server is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.mariadb
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn run(&mut self, statement: &str) -> Result<(), StatementError> {
        let done = self.connection.query_drop(statement).await;
        done.map_err(|error| StatementError::of(&error))?;
        if self.connection.get_warnings() > 0 && self.warnings.len() < WARNINGS_MAX {
            let rows: Vec<Row> =
                self.few("SHOW WARNINGS LIMIT 16", WARNINGS_MAX).await.unwrap_or_default();
            for row in rows {
                let Some(Ok(text)) = row.get_opt::<String, _>(2) else { continue };
                let plain = text.chars().filter(|c| !c.is_control()).take(WARNING_CHARS_MAX);
                self.warnings.push(plain.collect());
            }
            self.warnings.truncate(WARNINGS_MAX);
        }
        Ok(())
    }

    /// The first column of what a question is answered with, as texts.
    ///
    /// # Errors
    /// [`StatementError`].
    pub async fn texts(&mut self, question: &str) -> Result<Vec<String>, StatementError> {
        let rows = self.few(question, ROWS_MAX).await;
        let rows = rows.map_err(|error| StatementError::of(&error))?;
        let text = |row: &Row| row.get_opt::<String, _>(0).and_then(Result::ok);
        Ok(rows.iter().filter_map(text).collect())
    }

    /// The rows of an answer, which a server of somebody's choice may never end.
    async fn few(&mut self, question: &str, rows_max: usize) -> Result<Vec<Row>, Error> {
        let mut answer = self.connection.query_iter(question).await?;
        let mut rows = Vec::new();
        while let Some(row) = answer.next().await? {
            if rows.len() == rows_max {
                return Err(Error::Other("the server answers with too many rows".into()));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// What the server has warned of so far.
    pub fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Says goodbye, so that the server does not have to notice.
    pub async fn close(self) {
        let _ = timeout(std::time::Duration::from_secs(1), self.connection.disconnect()).await;
    }
}

impl StatementError {
    fn of(error: &Error) -> Self {
        let (mut code, mut refused) = (None, None);
        match error {
            Error::Server(answer) => code = Some(answer.code),
            Error::Driver(DriverError::NoClientSslFlagFromServer) => {
                refused = Some("the server does not speak TLS; turn it on there, or set ssl=false");
            }
            Error::Driver(DriverError::CleartextPluginDisabled) => {
                refused = Some("the server wants the password itself, which it does not get");
            }
            Error::Driver(DriverError::UnknownAuthPlugin { .. }) => {
                refused = Some(
                    "the user signs in there in a way that gateways do not know; give it \
                     caching_sha2_password",
                );
            }
            Error::Io(error) if is_about_tls(error) => {
                refused = Some("TLS fails; check ssl-certificate and the name in its certificate");
            }
            _ => {}
        }
        Self { code, refused, text: error.to_string() }
    }

    /// The server's error number.
    pub fn code(&self) -> Option<u16> {
        self.code
    }

    /// As a fault of `what` was being done. The `secrets` are kept out of the log, too.
    pub fn fault<'a>(&self, what: &str, secrets: impl IntoIterator<Item = &'a str>) -> Fault {
        let (kind, public) = match (self.code, self.refused) {
            (Some(code), _) => {
                let known = WORDS.iter().find(|(known, ..)| *known == code);
                let (kind, words) = known.map_or(
                    (FaultKind::BadRequest, "the server refuses it"),
                    |(_, kind, words)| (*kind, *words),
                );
                (kind, format!("{what} failed with {code}: {words}"))
            }
            (None, Some(why)) => (FaultKind::Forbidden, format!("{what} failed: {why}")),
            (None, None) => {
                let words = "the connection was lost, or is none to a MySQL server";
                (FaultKind::Unavailable, format!("{what} failed: {words}"))
            }
        };
        with_words(Fault::new(kind, public), &self.text, secrets)
    }
}

/// The driver tells only some failures of TLS from those of connections.
fn is_about_tls(error: &IoError) -> bool {
    match error {
        IoError::Tls(_) => true,
        IoError::Io(error) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
    }
}
