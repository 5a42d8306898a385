//! What can go wrong with a call, and whether it may have had an effect.

use std::fmt;

use keysherd_base::Fault;

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub enum LinkError {
    /// The other end could not be reached; nothing was sent. Says which routes were tried and why
    /// each failed.
    Unreachable(String),
    /// Nothing was sent before the time was over.
    TimedOutUnsent,
    /// No answer in time; the request may have been carried out.
    TimedOut,
    /// The connection broke after the request was sent; it may have been carried out.
    Lost(String),
    /// The other end refused or failed.
    Refused(Fault),
    /// The other end does not speak this protocol, or not this version of it.
    Mismatch(String),
    /// The answer is larger than the caller takes.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl LinkError {
    /// Whether the request certainly had no effect, so that it may be sent again.
    pub const fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOutUnsent)
    }

    /// The fault for whoever waits for the answer of `whom`, such as `the control plane`.
    pub fn into_fault(self, whom: &str) -> Fault {
        // Whoever takes the call and is slow was reached.
        let is_gone = self.is_unsent() || matches!(self, Self::Lost(_));
        let public = match self {
            Self::Refused(fault) => return fault,
            Self::Unreachable(_) => format!("{whom} cannot be reached; try again"),
            Self::TimedOutUnsent | Self::TimedOut => {
                format!("{whom} does not answer in time; try again")
            }
            Self::Lost(_) => format!(
                "the connection to {whom} broke; the request may have been \
                                      carried out, so look before trying again"
            ),
            Self::Mismatch(_) => format!(
                "{whom} speaks another version of the protocol; run the \
                                          same release everywhere"
            ),
            Self::TooLarge { .. } => format!("the answer of {whom} is too large"),
        };
        let fault = if is_gone { Fault::not_reached(public) } else { Fault::unavailable(public) };
        fault.with_private(self)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::TimedOutUnsent => f.write_str("could not be reached in time"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::Lost(why) => write!(f, "the connection broke: {why}"),
            Self::Refused(fault) => write!(f, "refused: {fault}"),
            Self::Mismatch(why) => write!(f, "another protocol or version: {why}"),
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
        }
    }
}

impl std::error::Error for LinkError {}
