//! What a member is.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, ItemPath, RngHandle, SecretString, Uid};
use keysherd_egress::Egress;
use keysherd_wire::{Args, FieldSpec};
use serde_json::{Map, Value};

use crate::{Endpoints, Kind, Settings};

/// A future that a member answers with.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What members may use on the way to a target.
#[derive(Clone)]
pub struct Way {
    /// Time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// How targets are connected to, and which may be.
    pub egress: Egress,
    /// How long everything that one call does on a target may take together.
    pub timeout: Duration,
    /// What this gateway can vouch with; none: it is in no cluster.
    pub identity: Option<Arc<dyn Identity>>,
    /// Vouches for this gateway before webhooks, about the item that the call is for; none: no
    /// webhook is called.
    pub voucher: Option<Arc<dyn Voucher>>,
    /// Where services are that are not where they usually are.
    pub endpoints: Endpoints,
}

/// How long a call may take where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);

impl Way {
    /// One on which a call may take the usual time.
    pub fn new(clock: ClockHandle, rng: RngHandle, egress: Egress) -> Self {
        let endpoints = Endpoints::default();
        let (identity, voucher) = (None, None);
        Self { clock, rng, egress, timeout: TIMEOUT, identity, voucher, endpoints }
    }

    /// The same for a call about this item of this account, within this time.
    pub fn about(&self, (account, item): (Uid, &ItemPath), timeout: Duration) -> Self {
        let voucher = self.identity.as_ref().map(|identity| identity.about(account, item));
        Self { timeout, voucher, ..self.clone() }
    }
}

/// What a gateway shows of itself.
pub trait Identity: Send + Sync {
    /// Vouches for this gateway in calls about this item of this account.
    fn about(&self, account: Uid, item: &ItemPath) -> Arc<dyn Voucher>;
}

/// Vouches for a gateway before webhooks.
pub trait Voucher: Send + Sync {
    /// A text by which the webhook at this address finds out which gateway asks, and about which
    /// item of which account; good for minutes. It ends in a header, so it is printable ASCII.
    ///
    /// # Errors
    /// Whatever keeps the gateway from signing.
    fn vouch(&self, audience: &str) -> Result<SecretString, Fault>;
}

/// A kind of target.
pub trait Target: Send + Sync {
    /// What it is.
    fn kind(&self) -> &'static Kind;

    /// V2's `target_type` of one with these settings.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn type_name(&self, settings: &Settings) -> Result<&'static str, Fault>;

    /// Whether the settings make sense. Nothing is connected to.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn check(&self, settings: &Settings) -> Result<(), Fault>;

    /// The settings as V2 shows them, secrets included: the member of `TargetTypeDetailsInput` and
    /// its content. For those who may read the target; wipe it with [`keysherd_wire::wipe`].
    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>);

    /// Signs in to the target, changes nothing there, and leaves.
    ///
    /// # Errors
    /// A fault that says where it stopped and what to do: nothing that the target said but its
    /// error code.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// The types of targets that its parent may have, whose credentials it works with; none: it has
    /// no parent.
    fn parents(&self) -> &'static [&'static str] {
        &[]
    }

    /// Fields that only its update commands have, which change settings.
    fn update_fields(&self) -> &'static [FieldSpec] {
        &[]
    }

    /// What the arguments make of the settings there were (none: of a new target).
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    fn merged(&self, given: &Args, old: Settings) -> Result<Settings, Fault> {
        let kind = self.kind();
        Settings::merged(kind.fields, given, old, kind.whereabouts)
    }
}

/// The settings under the names that V2 shows them by. Secrets are among them.
pub(crate) fn content(
    kind: &Kind,
    settings: &Settings,
    names: &[(&str, &str)],
) -> Map<String, Value> {
    let mut content = Map::new();
    for (name, setting) in names {
        let field = kind.fields.fields.iter().find(|field| field.name == *setting);
        if let Some(value) = field.and_then(|field| settings.value(field)) {
            content.insert((*name).to_owned(), value);
        }
    }
    content
}
