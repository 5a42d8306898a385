//! Sending the audit log to others: what commands ask of the gateway that does it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_audit::Filter;
use keysherd_authn::BoxFuture;
use keysherd_base::{
    AccessId, AccountId, ClockHandle, Fault, RngHandle, Secret, SecretString, Timestamp, Uid,
};
use keysherd_egress::Egress;
use keysherd_sinks::{Format, Settings, Sink, Way, by_name};
use keysherd_wire::wipe;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whom a gateway reads an account's audit log as.
#[derive(Debug)]
pub struct LogReader {
    /// Whose log.
    pub account: AccountId,
    /// An API key's access id.
    pub access_id: AccessId,
    /// Its key.
    pub access_key: SecretString,
}

/// A reader that was tried and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderAdmitted {
    /// Whether it may do anything beside reading the log.
    pub more_rights: bool,
}

/// One log target with everything that an administrator says about it. It has secrets.
pub struct Forwarder {
    /// Its name; empty for the one that V2 knows.
    pub name: String,
    /// Whether it is sent to.
    pub enabled: bool,
    /// What kind of target.
    pub sink: &'static dyn Sink,
    /// How records are written.
    pub format: Format,
    /// Seconds between two looks for news.
    pub pull_seconds: u32,
    /// Which records.
    pub filter: Filter,
    /// Where it is and how it is signed in to.
    pub settings: Settings,
    /// Where in the log it begins, and which wish that is; `None` in what was kept before there
    /// was more than one gateway: with the first record.
    pub begin: Option<Beginning>,
    /// What gateways of the cluster know each other's places in the log by, which control keeps
    /// for them; `None` in what was kept before there was one.
    pub place_key: Option<Arc<Secret<[u8; 32]>>>,
}

/// A wish to begin at a certain record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// By chance: whoever has followed it does not do so again.
    pub id: Uid,
    /// The first record.
    pub from: u64,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    enabled: bool,
    sink: String,
    json: bool,
    pull_seconds: u32,
    filter: Filter,
    settings: Value,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    begin: Option<Beginning>,
    /// In base64.
    #[serde(skip_serializing_if = "Value::is_null", default)]
    place_key: Value,
}

impl Forwarder {
    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretString, Fault> {
        let kept = Kept {
            enabled: self.enabled,
            sink: self.sink.kind().name.to_owned(),
            json: self.format == Format::Json,
            pull_seconds: self.pull_seconds,
            filter: self.filter.clone(),
            settings: self.settings.to_value(),
            begin: self.begin,
            place_key: self.place_key.as_ref().map(|key| STANDARD.encode(key.expose())).into(),
        };
        let text = serde_json::to_string(&kept).map(Secret::new).map_err(Fault::internal);
        wipe(kept.settings);
        wipe(kept.place_key);
        text
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_json(name: &str, text: &SecretString) -> Result<Self, Fault> {
        // The error's text could quote a value.
        let unreadable = || Fault::internal("the settings of a log target cannot be read");
        let kept: Kept = serde_json::from_str(text.expose()).map_err(|_| unreadable())?;
        let settings = Settings::from_value(&kept.settings);
        wipe(kept.settings);
        let place_key = place_key(&kept.place_key);
        wipe(kept.place_key);
        Ok(Self {
            name: name.to_owned(),
            enabled: kept.enabled,
            sink: by_name(&kept.sink).ok_or_else(unreadable)?,
            format: if kept.json { Format::Json } else { Format::Text },
            pull_seconds: kept.pull_seconds,
            filter: kept.filter,
            settings: settings?,
            begin: kept.begin,
            place_key,
        })
    }
}

fn place_key(text: &Value) -> Option<Arc<Secret<[u8; 32]>>> {
    let bytes = Secret::new(STANDARD.decode(text.as_str()?).ok()?);
    let mut key = Secret::new([0; 32]);
    *key.expose_mut() = bytes.expose().as_slice().try_into().ok()?;
    Some(Arc::new(key))
}

/// How a log target is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwarderState {
    /// Its name.
    pub name: String,
    /// What kind of target.
    pub sink: &'static str,
    /// Whether it is sent to.
    pub enabled: bool,
    /// The last record that is known to have arrived, or that its filter leaves out.
    pub delivered: u64,
    /// The newest record that is known.
    pub newest: u64,
    /// When something arrived last.
    pub delivered_at: Option<Timestamp>,
    /// Attempts that failed since then.
    pub failures: u64,
    /// What is wrong; empty when nothing is.
    pub trouble: String,
    /// Times that the log was not the one that was sent before.
    pub findings: u64,
    /// The newest of them, in words.
    pub finding: String,
    /// Another gateway of the cluster sends to it, or will.
    pub elsewhere: bool,
}

/// Sends the audit log to others.
pub trait Forwarding: Send + Sync {
    /// What targets may use.
    fn way(&self) -> Way;

    /// Reads the log as `reader` from now on, if that is possible; kept durably on return.
    ///
    /// # Errors
    /// Those of control, when it may not; [`Fault::bad_request`] when it is of another account.
    fn read_as(&self, reader: LogReader) -> BoxFuture<'_, Result<ReaderAdmitted, Fault>>;

    /// Whom it reads an account's log as.
    ///
    /// # Errors
    /// When that cannot be read.
    fn reader(&self, account: AccountId) -> Result<Option<AccessId>, Fault>;

    /// A target of an account.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(&self, account: AccountId, name: &str) -> Result<Option<Forwarder>, Fault>;

    /// Sends to `forwarder` from now on, in place of the one with its name, which it was made from
    /// and which must still say `old` ([`Forwarder::to_json`]), from where that one was, or from
    /// the record `from`. Kept durably on return.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when there is nobody to read the log as, or too many targets;
    /// [`Fault::conflict`] when somebody else changed the one with its name in between.
    fn put(
        &self,
        account: AccountId,
        forwarder: Forwarder,
        from: Option<u64>,
        old: Option<SecretString>,
    ) -> BoxFuture<'_, Result<(), Fault>>;

    /// Forgets a target; whether it was there.
    ///
    /// # Errors
    /// When its files cannot be removed.
    fn remove<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>>;

    /// How the targets of an account are doing, by name. Of those that another gateway sends to,
    /// only how far it came.
    fn states(&self, account: AccountId) -> BoxFuture<'_, Vec<ForwarderState>>;
}

/// A gateway that sends nothing to anybody.
pub struct NoForwarding(Way);

impl NoForwarding {
    /// One with this time and randomness.
    pub fn new(clock: ClockHandle, rng: RngHandle) -> Arc<Self> {
        let egress = Egress::default();
        Arc::new(Self(Way::new(clock, rng, egress)))
    }
}

impl Forwarding for NoForwarding {
    fn way(&self) -> Way {
        self.0.clone()
    }

    fn read_as(&self, _: LogReader) -> BoxFuture<'_, Result<ReaderAdmitted, Fault>> {
        Box::pin(async { Err(none()) })
    }

    fn reader(&self, _: AccountId) -> Result<Option<AccessId>, Fault> {
        Ok(None)
    }

    fn get(&self, _: AccountId, _: &str) -> Result<Option<Forwarder>, Fault> {
        Ok(None)
    }

    fn put(
        &self,
        _: AccountId,
        _: Forwarder,
        _: Option<u64>,
        _: Option<SecretString>,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { Err(none()) })
    }

    fn remove<'a>(&'a self, _: AccountId, _: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async { Ok(false) })
    }

    fn states(&self, _: AccountId) -> BoxFuture<'_, Vec<ForwarderState>> {
        Box::pin(async { Vec::new() })
    }
}

fn none() -> Fault {
    Fault::forbidden("this gateway forwards no logs")
}
