//! What a member is.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{AccountId, ClockHandle, Fault, RngHandle};
use keysherd_egress::{Egress, Target};
use keysherd_wire::Group;

use crate::{Batch, BoxFuture, Settings};

/// What a member is called, and which settings it has.
#[derive(Debug)]
pub struct Kind {
    /// The name, such as `splunk`.
    pub name: &'static str,
    /// What receives the lines, to end a sentence: "Splunk's HTTP event collector".
    pub receiver: &'static str,
    /// Its settings. Texts, flags and numbers only.
    pub fields: &'static Group,
    /// How V2 shows it; `None` for those that V2 does not have, and those without settings.
    pub shown: Option<Shown>,
    /// Whether the V2 API has it.
    pub published: bool,
}

/// The V2 object that shows a member's settings.
#[derive(Debug)]
pub struct Shown {
    /// Such as `splunk_config`.
    pub field: &'static str,
    /// Its fields with the settings they show. Secrets are not among them.
    pub content: &'static [(&'static str, &'static str)],
}

/// What outlets may use.
#[derive(Clone)]
pub struct Way {
    /// Time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// The accounts whose targets may use the identity that the gateway's machine has in its cloud,
    /// by its operator's word. Whoever may set up targets could otherwise act as that machine.
    pub lends_identity_to: Arc<[AccountId]>,
    /// Whose target is opened; `None`: nobody's, who is lent nothing.
    pub account: Option<AccountId>,
    /// How receivers are connected to, and which may be.
    pub egress: Egress,
}

impl Way {
    /// One on which nobody is lent the machine's identity.
    pub fn new(clock: ClockHandle, rng: RngHandle, egress: Egress) -> Self {
        Self { clock, rng, lends_identity_to: Arc::default(), account: None, egress }
    }

    /// The same for a target of `account`.
    #[must_use]
    pub fn of(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }
}

/// Somebody that lines are sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receiver {
    /// Name or address, and port.
    pub target: Target,
    /// `https`, `http`, `tls`, `tcp` or `udp`. Only HTTP goes through proxies.
    pub protocol: &'static str,
}

/// Why lines were not delivered. They are kept and sent again, whatever the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The receiver does not answer, or asks to come back.
    Later {
        /// What went wrong, for people. Nothing secret.
        why: String,
        /// When the receiver wants to be asked again.
        after: Option<Duration>,
    },
    /// The receiver does not want them: the settings have to change.
    Refused {
        /// Which status it answered with. Nothing that it said: whoever may name receivers could
        /// read with that what only this gateway reaches.
        why: String,
    },
    /// There were too many lines at once.
    TooLarge,
}

impl Undelivered {
    /// The receiver does not answer.
    pub(crate) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }

    /// The receiver does not want them.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

/// An open way to one receiver.
pub trait Outlet: Send {
    /// Whom it sends to: nothing secret, so no paths.
    fn receivers(&self) -> Vec<Receiver>;

    /// Sends a batch. On success the receiver has all of it; else it may have some.
    ///
    /// # Errors
    /// [`Undelivered`].
    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// A kind of log target.
pub trait Sink: Send + Sync {
    /// What it is.
    fn kind(&self) -> &'static Kind;

    /// A way to the receiver that the settings name. Nothing is sent yet; whether the settings
    /// make sense shows here.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault>;
}
