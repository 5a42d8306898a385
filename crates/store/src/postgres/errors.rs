//! The driver's errors as faults. Their texts go to the log only.

use std::error::Error as _;

use keysherd_base::Fault;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::engine::storage_full;
use crate::query::Refused;

/// How the driver's texts begin when a statement does not fit its arguments or its answer.
const NEVER_SENT: &[&str] = &["error serializing", "error deserializing", "expected"];

/// What went wrong, by what has to follow.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Somebody else has the name. The transaction, or the job in it, has to be taken back.
    Taken,
    /// The server answered: the statement was not carried out.
    Refused(Fault),
    /// There is no answer, and no connection to ask again on.
    Lost(Fault),
}

impl Trouble {
    /// What went wrong with a statement.
    pub(super) fn of(error: &Error) -> Self {
        let text = described(error);
        let Some(answer) = error.as_db_error() else {
            // The driver does not tell its own kinds but by their texts.
            let never_sent = NEVER_SENT.iter().any(|begin| text.starts_with(begin));
            return match never_sent {
                true => Self::Refused(Fault::internal(text)),
                false => Self::Lost(lost(&text)),
            };
        };
        let fatal = matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        let code = answer.code();
        if fatal || is_of_another_server(code) {
            return Self::Lost(lost(&text));
        }
        match *code {
            SqlState::UNIQUE_VIOLATION => Self::Taken,
            SqlState::DISK_FULL => Self::Refused(storage_full().with_private(text)),
            SqlState::QUERY_CANCELED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::OUT_OF_MEMORY => {
                Self::Refused(Fault::unavailable("the store is busy; try again").with_private(text))
            }
            SqlState::CHARACTER_NOT_IN_REPERTOIRE => Self::Refused(
                Fault::bad_request("a text has a character that cannot be stored: NUL")
                    .with_private(text),
            ),
            _ => Self::Refused(Fault::internal(text)),
        }
    }

    /// Nothing was answered in time.
    pub(super) fn too_late() -> Self {
        Self::Lost(lost("no answer in time"))
    }
}

/// Whether the server tells that another one is the primary now, or that it is going down.
fn is_of_another_server(code: &SqlState) -> bool {
    matches!(
        *code,
        SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
    ) || code.code().starts_with("08")
}

/// The driver's text with what is behind it, which `Display` of its error leaves out.
pub(super) fn described(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(behind) = cause {
        text.push_str(": ");
        text.push_str(&behind.to_string());
        cause = behind.source();
    }
    if let Some(answer) = error.as_db_error() {
        text.push_str(" (");
        text.push_str(answer.code().code());
        text.push(')');
    }
    text
}

/// The fault of whoever was cut off.
pub(super) fn lost(why: &str) -> Fault {
    Fault::unavailable("the control plane's database does not answer; try again in a moment")
        .with_private(why)
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Taken => Self::Taken,
            Trouble::Refused(fault) | Trouble::Lost(fault) => Self::Fault(fault),
        }
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Refused::from(trouble).into()
    }
}
