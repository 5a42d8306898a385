//! Who asks: what travels with every request to the control plane.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::{Fault, FaultKind, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

/// The client as the edge saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The peer's address (or the one a trusted proxy forwarded).
    pub address: IpAddr,
    /// The client type: `sdk`, `cli`, `terraform`, ...; at most 64 bytes.
    pub kind: Arc<str>,
}

/// One public request on its way through the control plane.
#[derive(Clone, Serialize, Deserialize)]
pub struct Caller {
    /// The bearer token; `None` where the command takes none.
    pub token: Option<Arc<str>>,
    /// The client.
    pub client: Client,
    /// The public command, for the audit record.
    pub command: Arc<str>,
    /// Identifies the request in logs and audit records.
    pub request: RequestId,
    /// When the edge received it.
    pub received: Timestamp,
}

/// What a gateway reports for the audit log about a request the control plane did not see or
/// whose answer failed after the control plane had granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What went wrong; `None`: the command succeeded without any other message to control.
    pub failure: Option<FaultKind>,
    /// The public text of the failure.
    pub detail: String,
    /// What the request was about, where only the gateway knows that: at most
    /// [`NOTE_ABOUT_MAX`]. Nothing secret.
    pub about: Vec<(About, String)>,
}

/// Most things that one [`Note`] says a request was about.
pub const NOTE_ABOUT_MAX: usize = 16;

/// What of a gateway's own configuration a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// The kind of the configuration, such as that of a log target.
    Kind,
    /// Its name among those of its kind.
    Name,
    /// Host and port of somebody that the gateway connects to for it.
    Receiver,
    /// The access id that is used for it.
    AccessId,
    /// Whether it is in use.
    Enabled,
}

impl About {
    /// The parameter's name in audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Name => "name",
            Self::Receiver => "receiver",
            Self::AccessId => "access-id",
            Self::Enabled => "enabled",
        }
    }
}

/// Confirms that a [`Note`] is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited;

impl Caller {
    /// The server itself, for the little it does before an account exists.
    pub fn of_the_server(request: RequestId) -> Self {
        Self {
            token: None,
            client: Client { address: IpAddr::from([127, 0, 0, 1]), kind: "server".into() },
            command: "server".into(),
            request,
            received: Timestamp::default(),
        }
    }
}

impl Note {
    /// The note for a request that succeeded.
    pub fn success() -> Self {
        Self { failure: None, detail: String::new(), about: Vec::new() }
    }

    /// The note for a request that failed with `fault`.
    pub fn failure(fault: &Fault) -> Self {
        let detail = fault.public().to_owned();
        Self { failure: Some(fault.kind()), detail, about: Vec::new() }
    }
}
