//! The driver's errors as faults: the server's code and our words for it. What the server said
//! goes to the log only, since it quotes statements.

use std::error::Error as _;

use keysherd_base::{Fault, FaultKind};
use tokio_postgres::Error;

use crate::words::with_words;
use crate::{NOT_ADMITTED, Server, WRONG_CREDENTIALS};

/// What went wrong with a statement or a session.
#[derive(Debug)]
pub struct SqlError {
    /// The server's code (SQLSTATE, SQL:2023 part 2 clause 24); `None`: it did not answer.
    code: Option<String>,
    /// For the log.
    text: String,
}

/// Code of the fault that says: others changed the same at the same time, so nothing came of it,
/// and it may be tried again at once.
pub const CONTENDED: &str = "TargetContended";
/// The server's codes for that: transactions that were given up for others (class 40), and
/// `tuple concurrently updated`, which is an internal error to PostgreSQL.
const CONTENTION: [&str; 2] = ["40", "XX000"];
/// Code of the fault that says: somebody has a lock that it needs, and keeps it.
pub const HELD: &str = "TargetHeld";
/// The server's code for that.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Words for codes, the longest prefix that fits first.
const WORDS: &[(&str, FaultKind, &str)] = &[
    ("28P01", FaultKind::Forbidden, "the user or the password is wrong"),
    ("28", FaultKind::Forbidden, "this user may not sign in from this gateway"),
    ("3D000", FaultKind::BadRequest, "there is no such database"),
    ("3F000", FaultKind::BadRequest, "there is no such schema"),
    ("25001", FaultKind::BadRequest, "a statement of this kind cannot run in a transaction"),
    ("2BP01", FaultKind::Forbidden, "other objects still depend on the user"),
    ("42501", FaultKind::Forbidden, "the user of the target may not do that"),
    ("42601", FaultKind::BadRequest, "it is not written as the server understands it"),
    ("42704", FaultKind::BadRequest, "it names something that does not exist"),
    ("42710", FaultKind::Conflict, "something of this name exists already"),
    ("42P01", FaultKind::BadRequest, "there is no such table"),
    ("42", FaultKind::BadRequest, "it names or does something that the server does not allow"),
    ("53300", FaultKind::Unavailable, "the server has too many connections"),
    ("53", FaultKind::Unavailable, "the server is out of something it needs"),
    (LOCK_NOT_AVAILABLE, FaultKind::Unavailable, "somebody else holds what it needs; try again"),
    ("55006", FaultKind::Unavailable, "the user is in use"),
    ("57014", FaultKind::Unavailable, "it took too long and was canceled"),
    ("57", FaultKind::Unavailable, "the server is starting or stopping"),
    ("40", FaultKind::Unavailable, "others changed the same at the same time; try again"),
    ("XX000", FaultKind::Unavailable, "others changed the same at the same time; try again"),
    ("08", FaultKind::Unavailable, "the connection was lost"),
    ("25006", FaultKind::Forbidden, "the server only reads; take the primary"),
];

impl SqlError {
    /// What the driver says went wrong.
    pub(super) fn of(error: &Error) -> Self {
        let code = error.code().map(|code| code.code().to_owned());
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        Self { code: code.filter(|code| is_code(code)), text }
    }

    /// The server's code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether somebody has a lock that it needs.
    pub fn is_held(&self) -> bool {
        self.code() == Some(LOCK_NOT_AVAILABLE)
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let (kind, words) = self.words();
        let public = match &self.code {
            Some(code) => format!("{what} failed with {code}: {words}"),
            None => format!("{what} failed: {words}"),
        };
        let fault = with_words(Fault::new(kind, public), &self.text, secret);
        let code = self.code.as_deref().unwrap_or_default();
        match CONTENTION.iter().any(|class| code.starts_with(class)) {
            true => fault.with_code(CONTENDED),
            false if self.is_held() => fault.with_code(HELD),
            false => fault,
        }
    }

    /// As a fault of signing in.
    pub(super) fn at_sign_in(&self, server: &Server) -> Fault {
        let database = server.database().unwrap_or_default();
        let what = format!("signing in to database '{database}' of {}", server.place());
        let secret = server.password().map(|password| password.expose().as_str());
        let fault = self.fault(&what, secret);
        match self.code() {
            Some("28P01") => fault.with_code(WRONG_CREDENTIALS),
            // Databases are looked at after the password.
            Some("3D000" | "42501") => fault.with_code(NOT_ADMITTED),
            _ => fault,
        }
    }

    fn words(&self) -> (FaultKind, &'static str) {
        let Some(code) = &self.code else {
            return (FaultKind::Unavailable, "the connection was lost");
        };
        let of_code = WORDS.iter().filter(|(prefix, ..)| code.starts_with(prefix));
        let known = of_code.max_by_key(|(prefix, ..)| prefix.len());
        known.map_or((FaultKind::BadRequest, "the server refuses it"), |known| (known.1, known.2))
    }
}

/// Codes are five letters and digits; whatever else a server sends is not repeated.
fn is_code(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}
