//! Exit codes of the server roles. The command line's own codes are in `keysherd-cli`.

use std::fmt;

use keysherd_base::{Fault, FaultKind};

/// Why a role ended. The number is the process's exit code.
#[derive(Debug)]
pub(crate) enum Exit {
    /// 64: the configuration or the command line is wrong; the text says what.
    Configuration(String),
    /// 73: a file or directory cannot be created, read or locked.
    Files(String),
    /// 69: an address cannot be listened on.
    Listen(String),
    /// 69: another role cannot be reached or does not answer.
    Unreachable(String),
    /// 77: another role refuses.
    Refused(String),
    /// 70: the stores or keys are damaged, or a defect; the text says what.
    Damaged(String),
    /// 70: what was looked at is not as it should be; the text says what.
    NotIntact(String),
    /// 73: a file of customer fragments or shares cannot be read or written.
    FragmentFile(String),
    /// 70: customer fragments or shares are not what they should be; the text says what.
    FragmentWrong(String),
}

impl Exit {
    /// The process's exit code, from `sysexits.h`.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 64,
            Self::Listen(_) | Self::Unreachable(_) => 69,
            Self::Damaged(_) | Self::NotIntact(_) | Self::FragmentWrong(_) => 70,
            Self::Files(_) | Self::FragmentFile(_) => 73,
            Self::Refused(_) => 77,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) => write!(f, "wrong configuration: {text}"),
            Self::Files(text) => write!(f, "cannot use the data directory: {text}"),
            Self::Listen(text) => write!(f, "cannot listen: {text}"),
            Self::FragmentFile(text) | Self::FragmentWrong(text) => {
                write!(f, "customer fragments: {text}")
            }
            Self::Unreachable(text) => write!(f, "no answer: {text}"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Damaged(text) => write!(f, "cannot start: {text}"),
            Self::NotIntact(text) => f.write_str(text),
        }
    }
}

impl Exit {
    /// What another role said to a request.
    pub(crate) fn of_another_role(fault: &Fault) -> Self {
        match fault.kind() {
            FaultKind::Unavailable | FaultKind::Timeout => Self::Unreachable(fault.to_string()),
            FaultKind::StorageFull => Self::Files(fault.to_string()),
            FaultKind::Internal => Self::Damaged(fault.to_string()),
            _ => Self::Refused(fault.to_string()),
        }
    }
}

impl From<Fault> for Exit {
    /// A fault of opening: of the directory when somebody else has it or it cannot be used, of
    /// its content otherwise.
    fn from(fault: Fault) -> Self {
        let private = fault.private().map(|text| format!(" ({text})")).unwrap_or_default();
        let text = format!("{fault}{private}");
        match fault.kind() {
            FaultKind::Conflict
            | FaultKind::Forbidden
            | FaultKind::Unavailable
            | FaultKind::NotFound
            | FaultKind::StorageFull => Self::Files(text),
            _ => Self::Damaged(text),
        }
    }
}
