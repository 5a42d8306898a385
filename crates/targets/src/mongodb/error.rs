//! What servers answer when they refuse, as faults: their code and our words for it.

use keysherd_base::{Fault, FaultKind};

use super::bson::{Item, Items};
use crate::words::with_words;

/// What went wrong with a command.
#[derive(Debug)]
pub struct CommandError {
    /// The server's number; `None`: it did not answer.
    code: Option<i32>,
    /// For the log.
    text: String,
}

/// Words for numbers (MongoDB's `error_codes.yml`).
const WORDS: &[(i32, FaultKind, &str)] = &[
    (2, FaultKind::BadRequest, "the server does not take that value"),
    (9, FaultKind::BadRequest, "the server cannot read it"),
    (11, FaultKind::BadRequest, "there is no such user"),
    (13, FaultKind::Forbidden, "the user of the target may not do that"),
    (14, FaultKind::BadRequest, "something in it is of a wrong type"),
    (18, FaultKind::Forbidden, "the user or the password is wrong, or is in another database"),
    (31, FaultKind::BadRequest, "there is no such role"),
    (50, FaultKind::Unavailable, "it took too long and was canceled"),
    (59, FaultKind::BadRequest, "the server has no such command"),
    (64, FaultKind::Unavailable, "too few members of the replica set confirmed it"),
    (72, FaultKind::BadRequest, "the server does not take that option"),
    (91, FaultKind::Unavailable, "the server is stopping"),
    (189, FaultKind::Unavailable, "the server is no primary any more; try again"),
    (238, FaultKind::BadRequest, "the server has not implemented that"),
    (334, FaultKind::Forbidden, "the server or this user does not sign in by SCRAM-SHA-256"),
    (10107, FaultKind::Unavailable, "the server is no primary; try again"),
    (11600, FaultKind::Unavailable, "the server is stopping"),
    (11602, FaultKind::Unavailable, "the replica set is choosing a primary; try again"),
    (40415, FaultKind::BadRequest, "there is a member that the server does not know"),
    (51003, FaultKind::Conflict, "there is a user of this name already"),
];
/// That somebody was not let in.
const NOT_LET_IN: i32 = 18;
/// That there is no such user.
const NO_USER: i32 = 11;

impl CommandError {
    /// What an answer says went wrong, if it does.
    pub(super) fn of(items: &Items) -> Option<Self> {
        if items.get("ok") != Some(&Item::Number(1.0)) {
            return Some(Self::said(items));
        }
        match items.get("writeConcernError") {
            Some(Item::Doc(error)) => Some(Self::said(error)),
            _ => None,
        }
    }

    fn said(items: &Items) -> Self {
        let code = match items.get("code") {
            // Anything else is no number of the server's.
            Some(Item::Number(code)) => format!("{code:.0}").parse().ok(),
            _ => None,
        };
        let text = match items.get("errmsg") {
            Some(Item::Text(text)) => text.clone(),
            _ => String::new(),
        };
        // It did answer.
        Self { code: Some(code.unwrap_or_default()), text }
    }

    pub(super) fn lost(error: std::io::Error) -> Self {
        Self { code: None, text: error.to_string() }
    }

    /// What answered does not speak this protocol.
    pub(super) fn strange() -> Self {
        Self { code: None, text: "the answer is none of this protocol".to_owned() }
    }

    /// Whether the server does not take this user with this password.
    pub fn says_wrong_credentials(&self) -> bool {
        self.code == Some(NOT_LET_IN)
    }

    /// Whether there is no such user.
    pub fn says_no_user(&self) -> bool {
        self.code == Some(NO_USER)
    }

    /// Whether the server answered at all.
    pub fn is_answer(&self) -> bool {
        self.code.is_some()
    }

    /// As a fault of `what` was being done. `secret` is kept out of the log, too.
    pub fn fault(&self, what: &str, secret: Option<&str>) -> Fault {
        let known = WORDS.iter().find(|(code, ..)| Some(*code) == self.code);
        let (kind, words) = match (self.code, known) {
            (_, Some((_, kind, words))) => (*kind, *words),
            (Some(_), None) => (FaultKind::BadRequest, "the server refuses it"),
            (None, None) => {
                (FaultKind::Unavailable, "the connection was lost, or is none to a MongoDB")
            }
        };
        let public = match self.code {
            Some(code) => format!("{what} failed with {code}: {words}"),
            None => format!("{what} failed: {words}"),
        };
        with_words(Fault::new(kind, public), &self.text, secret)
    }
}
