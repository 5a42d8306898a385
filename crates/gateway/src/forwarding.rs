//! Log forwarding: each target of an account has a task of its own, which reads the audit log,
//! sends it, and remembers durably how far it came.
//!
//! A target that does not answer holds up nothing but itself: its task keeps one page of records
//! and tries again, while control keeps the rest. What a task is (what it reads the log as, where
//! it is in the log, what it sends to) is in the files below.
//!
//! Targets of a cluster are sent to by one of its gateways, the one that has the lease.

mod cursor;
mod place;
mod reader;
mod running;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use keysherd_api::{
    Beginning, Config, ConfigName, Configs, Forwarder, ForwarderState, Forwarding, LogReader,
    ReaderAdmitted,
};
use keysherd_base::{AccessId, AccountId, Fault, Secret, SecretString, Uid};
use keysherd_plane::{BoxFuture, PlaneHandle};
use keysherd_sinks::Way;
use tokio::sync::watch;

use self::cursor::CursorFile;
use self::place::attested::{PlaceKey, Told};
use self::reader::Reader;
use self::running::Running;
use self::worker::SharedState;
use crate::configs::changed_meanwhile;
use crate::files;
use crate::membership::Membership;

/// The kind of configurations that say whom a log is read as.
const READER: &str = "log-reader";
/// The kind of configurations of log targets.
pub const FORWARDER: &str = "log-forwarder";
/// Directory of the cursors in the gateway's own.
const DIRECTORY: &str = "forwarding";
/// Most targets of one account.
const FORWARDERS_MAX: usize = 16;
/// How often it is looked whether everything runs that should, beside when something changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// The pause after places could not be read.
const RETRY: Duration = Duration::from_secs(1);

type Key = (AccountId, String);

/// The log targets of a gateway.
pub struct Forwarders {
    configs: Arc<dyn Configs>,
    /// The cluster that the gateway is in.
    member: Option<Arc<Membership>>,
    plane: PlaneHandle,
    way: Way,
    dir: PathBuf,
    /// Held while something is changed, so that no two tasks have one cursor.
    running: tokio::sync::Mutex<Running>,
    states: std::sync::Mutex<BTreeMap<Key, SharedState>>,
}

impl Forwarders {
    /// Sends to the targets that are in `configs`, as long as this is held; cursors are in a
    /// directory of `home`, or at control for targets of the cluster that `member` is in. Call it
    /// on the runtime that will serve.
    ///
    /// # Errors
    /// [`Fault::internal`] when the directory cannot be made.
    pub fn start(
        home: &Path,
        configs: Arc<dyn Configs>,
        member: Option<Arc<Membership>>,
        plane: PlaneHandle,
        way: Way,
    ) -> Result<Arc<Self>, Fault> {
        let dir = home.join(DIRECTORY);
        files::make_dir(&dir)
            .map_err(|error| Fault::internal(format_args!("{}: {error}", dir.display())))?;
        let news = configs.news();
        let leases = match &member {
            Some(member) => member.leases().news(),
            // Nothing else is of interest then.
            None => configs.news(),
        };
        let this = Arc::new(Self {
            configs,
            member,
            plane,
            way,
            dir,
            running: tokio::sync::Mutex::default(),
            states: std::sync::Mutex::default(),
        });
        tokio::spawn(Self::follow(Arc::downgrade(&this), news, leases));
        Ok(this)
    }

    /// Keeps running what should run.
    async fn follow(
        this: Weak<Self>,
        mut configs: watch::Receiver<()>,
        mut leases: watch::Receiver<()>,
    ) {
        loop {
            let Some(forwarders) = this.upgrade() else { return };
            let pause = match forwarders.reconcile(&mut *forwarders.running.lock().await).await {
                Ok(()) => LOOK_INTERVAL,
                Err(fault) => {
                    tracing::warn!(?fault, "places of log targets are not known; trying on");
                    RETRY
                }
            };
            drop(forwarders);
            let changed = async {
                tokio::select! {
                    changed = configs.changed() => changed,
                    changed = leases.changed() => changed,
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(pause, changed).await {
                return;
            }
        }
    }

    /// How all targets are doing, for `/status`.
    pub fn all_states(&self) -> Vec<ForwarderState> {
        self.states().values().map(SharedState::get).collect()
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<Key, SharedState>> {
        // Any state of the map is a good one, so a poisoned lock is usable.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, account: AccountId, name: &str) -> CursorFile {
        CursorFile::new(&self.dir, account, name)
    }

    /// Brings what runs up to a change that is kept. What fails now is tried again.
    async fn changed(&self, running: &mut Running) {
        if let Err(fault) = self.reconcile(running).await {
            tracing::warn!(?fault, "a change of log targets is in force later");
        }
    }

    /// Ends what is done for the cluster, and lets another gateway do it at once.
    pub async fn retire(&self) {
        self.running.lock().await.end_shared(self).await;
        if let Some(member) = &self.member {
            member.retire().await;
        }
    }

    /// The target that there is, and whether the cluster has it.
    fn known(&self, account: AccountId, name: &str) -> Option<ConfigName> {
        let mut all = self.configs.of_kind(FORWARDER).into_iter();
        all.find(|known| known.account == account && known.name == name)
    }

    /// Where a target begins that is put in place of `known`.
    fn beginning(
        &self,
        account: AccountId,
        name: &str,
        known: Option<&ConfigName>,
        from: Option<u64>,
    ) -> Result<Option<Beginning>, Fault> {
        let from = match (from, known) {
            (Some(from), _) => from,
            (None, None) => 1,
            // It becomes the cluster's: the others go on where this gateway is now.
            (None, Some(known)) if !known.shared && self.configs.is_shared(account)? => {
                self.file(account, name).read().0.at.seq.saturating_add(1)
            }
            (None, Some(_)) => {
                let old = Forwarding::get(self, account, name)?;
                return Ok(old.and_then(|old| old.begin));
            }
        };
        Ok(Some(Beginning { id: Uid::random(&*self.way.rng)?, from }))
    }

    /// What gateways of the cluster know the places of a target by: what it was, or a new one.
    fn place_key(&self, account: AccountId, name: &str) -> Result<Arc<Secret<[u8; 32]>>, Fault> {
        if let Some(known) = Forwarding::get(self, account, name)?.and_then(|old| old.place_key) {
            return Ok(known);
        }
        Ok(Arc::new(Secret::new(self.way.rng.array::<32>()?)))
    }

    /// Makes the reader the cluster's as well, when a target becomes that.
    async fn share_reader(&self, account: AccountId) -> Result<(), Fault> {
        let all = self.configs.of_kind(READER);
        let own = all.iter().any(|known| known.account == account && !known.shared);
        if !own || !self.configs.is_shared(account)? {
            return Ok(());
        }
        let Some((access_id, body)) = self.configs.get(account, READER, "")? else { return Ok(()) };
        let config = Config { account, kind: READER, name: String::new(), access_id, body };
        self.configs.put(config, Some("")).await
    }

    /// How far the cluster's targets came, by name, while another gateway sends.
    async fn came(&self, account: AccountId) -> BTreeMap<String, u64> {
        let Some(member) = &self.member else { return BTreeMap::new() };
        let Some(joined) = member.joined().filter(|joined| joined.account == account) else {
            return BTreeMap::new();
        };
        // Without an answer, they are not known.
        let places = place::of_cluster(member, joined.cluster).await.unwrap_or_default();
        let all = self.configs.of_kind(FORWARDER).into_iter();
        let names = all.filter(|known| known.account == account).map(|known| known.name);
        let came = |name: String| {
            let key = Forwarding::get(self, account, &name).ok()??.place_key?;
            match PlaceKey::new(&key, account, &name).find(&places) {
                Told::At(cursor) => Some((name, cursor.at.seq)),
                Told::Nothing | Told::Forged => None,
            }
        };
        names.filter_map(came).collect()
    }
}

impl Forwarding for Forwarders {
    fn way(&self) -> Way {
        self.way.clone()
    }

    fn read_as(&self, reader: LogReader) -> BoxFuture<'_, Result<ReaderAdmitted, Fault>> {
        Box::pin(async move {
            let LogReader { account, access_id, access_key } = reader;
            let reader =
                Reader::new(self.plane.clone(), self.way.clone(), access_id.clone(), &access_key)?;
            let (plane, way) = (&self.plane, &self.way);
            let page = worker::follow(plane, way, &reader, u64::MAX).await?;
            if page.account != account {
                return Err(Fault::bad_request("the access id is of another account"));
            }
            let mut running = self.running.lock().await;
            let known = self.configs.get(account, READER, "")?.map(|_| "");
            let (kind, name) = (READER, String::new());
            let config = Config { account, kind, name, access_id, body: access_key };
            self.configs.put(config, known).await?;
            self.changed(&mut running).await;
            Ok(ReaderAdmitted { more_rights: page.more_rights })
        })
    }

    fn reader(&self, account: AccountId) -> Result<Option<AccessId>, Fault> {
        Ok(self.configs.get(account, READER, "")?.map(|(id, _)| id))
    }

    fn get(&self, account: AccountId, name: &str) -> Result<Option<Forwarder>, Fault> {
        let found = self.configs.get(account, FORWARDER, name)?;
        found.map(|(_, body)| Forwarder::from_json(name, &body)).transpose()
    }

    fn put(
        &self,
        account: AccountId,
        forwarder: Forwarder,
        from: Option<u64>,
        old: Option<SecretString>,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let access_id = self.reader(account)?.ok_or_else(|| {
                Fault::bad_request(
                    "this gateway has nobody to read the audit log as; name an API key that may \
                     read all of it with gateway-update-log-reader first",
                )
            })?;
            let name = forwarder.name.clone();
            let kept = self.configs.get(account, FORWARDER, &name)?;
            let now =
                kept.as_ref().map(|(_, body)| Forwarder::from_json(&name, body)).transpose()?;
            let now = now.as_ref().map(Forwarder::to_json).transpose()?;
            if now.as_ref().map(Secret::expose) != old.as_ref().map(Secret::expose) {
                return Err(changed_meanwhile());
            }
            let known = self.known(account, &name);
            let all = self.configs.of_kind(FORWARDER);
            let count = all.iter().filter(|known| known.account == account).count();
            if known.is_none() && count >= FORWARDERS_MAX {
                return Err(Fault::bad_request(format!(
                    "the account has {count} log targets on this gateway, which is the most; \
                     delete one"
                )));
            }
            let begin = self.beginning(account, &name, known.as_ref(), from)?;
            let place_key = Some(self.place_key(account, &name)?);
            let body = Forwarder { begin, place_key, ..forwarder }.to_json()?;
            let config = Config { account, kind: FORWARDER, name, access_id, body };
            self.share_reader(account).await?;
            // Before anything is stopped: a change that is refused leaves the target at work.
            self.configs.put_changed(config, kept.as_ref()).await?;
            self.changed(&mut running).await;
            Ok(())
        })
    }

    fn remove<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let was = self.configs.remove(account, FORWARDER, name).await?;
            self.changed(&mut running).await;
            if self.known(account, name).is_none() {
                // Later than its settings: a crash in between leaves a place that nobody looks at.
                self.file(account, name).remove()?;
            }
            Ok(was)
        })
    }

    fn states(&self, account: AccountId) -> BoxFuture<'_, Vec<ForwarderState>> {
        Box::pin(async move {
            let mut states: Vec<_> = {
                let all = self.states();
                let of_account = all.iter().filter(|((known, _), _)| *known == account);
                of_account.map(|(_, state)| state.get()).collect()
            };
            if states.iter().any(|state| state.elsewhere) {
                let came = self.came(account).await;
                for state in states.iter_mut().filter(|state| state.elsewhere) {
                    state.delivered = came.get(&state.name).copied().unwrap_or_default();
                    state.newest = state.delivered;
                }
            }
            states
        })
    }
}
