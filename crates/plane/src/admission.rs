//! Whether somebody may be tried whom a gateway has to ask others about: a cluster, a directory.
//!
//! The gateway asks before it asks them, so that guesses are counted, and those who have to wait
//! make nobody work. Control answers with a ticket; [`crate::auth::Present`] or
//! [`crate::auth::PresentRefused`] brings it back with what came of it.

use keysherd_base::AccessId;
use serde::{Deserialize, Serialize};

/// Names one login that is being tried, at the control plane that made it, for a short while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket(pub [u8; 16]);

/// Asks whether a login may be tried. Whether there is such a method or person makes no
/// difference. Writes no audit record unless it may not.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginAdmit {
    /// The auth method, as the bearer said.
    pub access_id: AccessId,
    /// The name of a person with a password that could be guessed; `None` for machines.
    pub person: Option<String>,
    /// The ticket that this takes the place of: the directory knows the person by another name.
    pub instead: Option<Ticket>,
}

/// It may.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LoginAdmitReply {
    /// To be brought back.
    pub ticket: Ticket,
}

/// Nobody could say whether the credential was good, so this was no try. Writes no audit record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LoginAbandon {
    /// Which login.
    pub ticket: Ticket,
}
