//! How a run ends, as the number the shell sees.

/// The end of a run. The numbers are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// The server refused the command for another reason than those below.
    Refused = 1,
    /// The command line was not understood.
    Usage = 2,
    /// No connection, no trusted TLS, or no answer in time.
    Unreachable = 3,
    /// Status 401: no valid token, wrong credentials, or not permitted.
    Unauthorized = 4,
    /// Status 404.
    NotFound = 5,
    /// Status 409: it exists already, or changed meanwhile.
    Conflict = 6,
    /// Status 5xx, or an answer that is not one.
    ServerError = 7,
    /// A file or a profile of this machine is missing or unusable.
    Local = 8,
}

impl Exit {
    /// Every end with its meaning, for the help text.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Ok, "it worked"),
        (Self::Refused, "the server refused it (other 4xx)"),
        (Self::Usage, "the command line was not understood"),
        (Self::Unreachable, "cannot connect, TLS not trusted, or no answer in time"),
        (Self::Unauthorized, "no valid token, wrong credentials or not permitted (401)"),
        (Self::NotFound, "not found (404)"),
        (Self::Conflict, "exists already or changed meanwhile (409)"),
        (Self::ServerError, "error of the server (5xx) or unreadable answer"),
        (Self::Local, "problem with a local file or profile"),
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The end for an HTTP status that is not one of success.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            404 => Self::NotFound,
            409 => Self::Conflict,
            400..=499 => Self::Refused,
            _ => Self::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_numbers_are_fixed() {
        let cases =
            [(400, 1), (401, 4), (403, 1), (404, 5), (409, 6), (429, 1), (500, 7), (503, 7)];
        for (status, code) in cases {
            assert_eq!(Exit::of_status(status).code(), code, "{status}");
        }
        for (index, (exit, _)) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), index);
        }
    }
}
