//! What a member is.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use keysherd_base::{AccessId, AccountId, ClockHandle, Fault, RngHandle, SecretString, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_wire::{Args, FieldSpec, Group};

use crate::outward::Outward;
use crate::world::World;
use crate::{BoxFuture, Browser, Kept, Kind};

/// Settings read from the arguments of a create or update command.
pub struct Prepared {
    /// JSON in the member's own form; what control stores.
    pub settings: String,
    /// A private key that was made along; shown once and stored nowhere.
    pub private_key: Option<SecretString>,
    /// What this gateway is to keep beside, as JSON; only of a member that [`Method::keeps`].
    pub kept: Option<SecretString>,
}

impl Prepared {
    /// Settings without a key.
    ///
    /// # Errors
    /// [`Fault::internal`] when they cannot be written, which is a defect.
    pub fn of<S: serde::Serialize>(settings: &S) -> Result<Self, Fault> {
        let settings = serde_json::to_string(settings).map_err(Fault::internal)?;
        Ok(Self { settings, private_key: None, kept: None })
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("private_key", &self.private_key.is_some()).finish()
    }
}

/// The V2 object that shows a member's settings: its field in `access_info`, and its content.
#[derive(Debug)]
pub struct Rules {
    /// Such as `oauth2_access_rules`.
    pub field: &'static str,
    /// Only fields that the V2 model has; those without value are left out.
    pub content: serde_json::Value,
}

/// What control does to each secret among settings: seals it or opens it.
pub type EachSecret<'a> = &'a dyn Fn(Kept) -> Result<Kept, Fault>;

/// Why settings are being read: a member may keep what only a create command makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// For a new method.
    New,
    /// For one that exists; `None` in an argument keeps nothing but keys made along. The access id
    /// is that of a method of a member that [`Method::keeps`], if there is one.
    Changed(Option<AccessId>),
}

/// Who is about to be tried, for control's login guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrant<'a> {
    /// Somebody whose credential cannot be guessed.
    Machine,
    /// The person of this name, whose password could be guessed. The spelling does not matter, see
    /// [`crate::folded`].
    Person(&'a str),
}

/// What the gateway half may use.
pub trait Desk: Send + Sync {
    /// Time.
    fn clock(&self) -> &ClockHandle;
    /// Randomness.
    fn rng(&self) -> &RngHandle;
    /// The way out to clusters and directories, after control's login guard let `entrant` be
    /// tried for the method `access_id`: there is no other, so whoever has to wait makes nobody
    /// ask. To be asked again, before a password is tried, when the directory knows a person by
    /// another name; the second question takes the place of the first.
    ///
    /// # Errors
    /// [`keysherd_base::FaultKind::RateLimited`]; [`Fault::unavailable`] when control does not
    /// answer.
    fn admit<'a>(
        &'a self,
        access_id: &'a AccessId,
        entrant: Entrant<'a>,
    ) -> BoxFuture<'a, Result<&'a Outward, Fault>>;

    /// This gateway's own configuration of `kind` called `name` for the method `access_id`, as
    /// JSON; `None` when it has none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn config(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault>;

    /// Whose configuration of `kind` for the method `access_id` it is; `None` when there is none.
    fn account(&self, kind: &str, access_id: &AccessId) -> Option<AccountId>;

    /// A challenge of the control plane, for the method `access_id` and the thing whose hash is
    /// `subject`.
    ///
    /// # Errors
    /// When control does not answer.
    fn challenge<'a>(
        &'a self,
        access_id: &'a AccessId,
        subject: [u8; 32],
    ) -> BoxFuture<'a, Result<Vec<u8>, Fault>>;
}

/// One login as the control half sees it.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The method's settings.
    pub settings: &'a str,
    /// What the gateway half made.
    pub evidence: &'a str,
    /// The method's public name.
    pub access_id: &'a AccessId,
    /// Whom the guard let be tried before the gateway asked others; `None`: it was not asked.
    pub admitted: Option<Entrant<'a>>,
    /// The client, as far as its gateway is trusted to say.
    pub client: IpAddr,
    /// At these characters values are split, beside the comma.
    pub delimiters: &'a [String],
    /// The time.
    pub now: Timestamp,
}

/// Who a bearer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Distinguishes the bearers of one method.
    pub unique_id: String,
    /// Everything the roles may ask for.
    pub claims: SubClaims,
    /// No token may outlive this; `None`: as the method says.
    pub ends: Option<Timestamp>,
}

/// A kind of auth method.
pub trait Method: Send + Sync {
    /// What it is called.
    fn kind(&self) -> &'static Kind;

    /// Its own settings as fields of its create and update commands.
    fn fields(&self) -> &'static Group;

    /// Under which kind the gateway keeps a configuration for each of its methods, named by the
    /// access id, that comes with the create and update commands and never reaches control;
    /// `None` when it keeps none.
    fn keeps(&self) -> Option<&'static str> {
        None
    }

    /// Gateway half: settings from arguments.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn settings(&self, given: &Args, wanted: Wanted, desk: &dyn Desk) -> Result<Prepared, Fault>;

    /// Control half: the settings in force after `new` replaces `old`. What was made along with
    /// the method and is in no argument, such as a public key, stays.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when they do not go together.
    fn replace(&self, _old: &str, new: String) -> Result<String, Fault> {
        Ok(new)
    }

    /// Control half: the settings after `each` was done to every secret among them. A member
    /// without secrets leaves this as it is.
    ///
    /// # Errors
    /// Those of `each`.
    fn with_secrets<'s>(
        &self,
        settings: &'s str,
        _each: EachSecret<'_>,
    ) -> Result<Cow<'s, str>, Fault> {
        Ok(Cow::Borrowed(settings))
    }

    /// Control half: whether a login can be checked against these settings, which came from a
    /// gateway that may be anybody's.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn check(&self, settings: &str) -> Result<(), Fault>;

    /// How V2 shows the settings. No secret of them.
    ///
    /// # Errors
    /// [`Fault::internal`] for settings that [`Method::check`] never saw.
    fn show(&self, settings: &str) -> Result<Rules, Fault>;

    /// What a bearer gives to `auth`, beside the access id.
    fn credential(&self) -> &'static [FieldSpec];

    /// Gateway half: evidence from the arguments of `auth`.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when an argument is missing or malformed; [`Fault::unauthorized`]
    /// when the gateway sees already that it is not good.
    fn prove<'a>(
        &'a self,
        given: &'a Args,
        desk: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>>;

    /// How its bearers sign in with a browser; `None` when they do not.
    fn browser(&self) -> Option<&'static dyn Browser> {
        None
    }

    /// Control half: who presented the evidence.
    ///
    /// # Errors
    /// [`Fault::unauthorized`]; the private half says which check failed.
    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>>;
}
