//! What a server warns of while statements run: a grant that granted nothing is a warning only.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::AsyncMessage;

/// Most warnings that are kept of one session.
const WARNINGS_MAX: usize = 16;
/// Longest warning, in characters; the rest is cut.
const WARNING_CHARS_MAX: usize = 200;

/// The warnings of a session.
#[derive(Default)]
pub(super) struct Notices(Mutex<Vec<String>>);

impl Notices {
    pub(super) fn hear(&self, message: &AsyncMessage) {
        let AsyncMessage::Notice(notice) = message else { return };
        // The other severities tell of progress.
        if notice.severity() != "WARNING" {
            return;
        }
        // A session that is to be ended may have ended by itself meanwhile.
        if notice.message().contains(" is not a PostgreSQL ") {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < WARNINGS_MAX {
            let plain = notice.message().chars().filter(|c| !c.is_control());
            kept.push(plain.take(WARNING_CHARS_MAX).collect());
        }
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
