//! Why a run ends without success, and what is said about it.

use keysherd_client::ClientError;

use crate::exit::Exit;

/// The end of a run that did not work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    text: String,
    hint: Option<String>,
    request_id: Option<String>,
    /// The text is complete: nothing goes before it.
    whole: bool,
    /// The cause, when it was a call.
    status: Option<u16>,
}

impl Failure {
    /// A failure that is described by `text`.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), hint: None, request_id: None, whole: false, status: None }
    }

    /// The command line was not understood.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Something on this machine is missing or unusable.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self::new(Exit::Local, text)
    }

    /// A text of several lines that needs no introduction.
    pub(crate) fn whole(exit: Exit, text: impl Into<String>) -> Self {
        Self { whole: true, ..Self::new(exit, text) }
    }

    /// Whoever read the output has enough of it. That is a success, as for any filter.
    pub(crate) fn closed_pipe() -> Self {
        Self::whole(Exit::Ok, "")
    }

    /// The same failure with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The HTTP status behind it, if the server answered.
    pub(crate) const fn status(&self) -> Option<u16> {
        self.status
    }

    /// What standard error shows; `words` is the command in words.
    pub(crate) fn render(&self, words: Option<&str>) -> String {
        if self.whole {
            return self.text.clone();
        }
        let mut text = match words {
            Some(words) => format!("Failed to {words}. Error: {}", self.text),
            None => format!("Error: {}", self.text),
        };
        if let Some(id) = &self.request_id {
            text.push_str("\nRequest id: ");
            text.push_str(id);
        }
        if let Some(hint) = &self.hint {
            text.push_str("\nHint: ");
            text.push_str(hint);
        }
        text
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match (&error, error.status()) {
            (ClientError::NotJson { status, .. }, _) if *status < 400 => Exit::ServerError,
            (_, Some(status)) => Exit::of_status(status),
            (ClientError::BadUrl { .. } | ClientError::BadCommand | ClientError::BadBody, None) => {
                Exit::Usage
            }
            (ClientError::CaFile { .. }, None) => Exit::Local,
            (ClientError::TooLarge { .. }, None) => Exit::ServerError,
            _ => Exit::Unreachable,
        };
        let advice = error.advice().or_else(|| {
            (exit == Exit::Unauthorized).then(|| {
                "run 'keysherd auth' to log in again or 'keysherd configure' to change the \
                 credentials; if they are right, a role must permit this"
                    .to_owned()
            })
        });
        let request_id = match &error {
            // The server's operator needs it; whoever mistyped a name does not.
            ClientError::Refused { status, request_id, .. } if *status >= 500 => request_id.clone(),
            _ => None,
        };
        Self {
            exit,
            text: error.to_string(),
            hint: advice,
            request_id,
            whole: false,
            status: error.status(),
        }
    }
}
