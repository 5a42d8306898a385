//! Which tasks run, and which should: brought together whenever a configuration or the lease
//! changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keysherd_api::Forwarder;
use keysherd_base::{AccessId, AccountId, Fault, SecretString, Uid};
use keysherd_crypto::hash::sha256;
use tokio::task::JoinHandle;

use super::cursor::{Cursor, CursorFile};
use super::place::attested::{PlaceKey, Told, go_on};
use super::place::{self, ClusterPlace, Keeper, LEASE};
use super::reader::Reader;
use super::worker::{SharedState, Worker};
use super::{FORWARDER, Forwarders, Key, READER};

/// What is told of a place that cannot be read.
const UNREADABLE: &str = "its place in the log could not be read: everything is sent again";

/// Most targets that are gone and remembered.
const GONE_MAX: usize = 1_024;

/// What runs.
#[derive(Default)]
pub(super) struct Running {
    readers: BTreeMap<AccountId, (Digest, Arc<Reader>)>,
    tasks: BTreeMap<Key, Task>,
    /// The cluster's targets when it was looked last, and what their places are called at control.
    known: BTreeMap<Key, String>,
    /// Places of targets of the cluster that went since, which may be at control.
    gone: BTreeSet<String>,
}

type Digest = [u8; 32];

impl Running {
    /// Ends everything that is done for the cluster.
    pub(super) async fn end_shared(&mut self, forwarders: &Forwarders) {
        let shared = |(key, task): (&Key, &Task)| task.under.map(|_| key.clone());
        let shared: Vec<Key> = self.tasks.iter().filter_map(shared).collect();
        for key in shared {
            forwarders.end(self, &key).await;
        }
    }
}

/// The task of one target.
struct Task {
    /// Of everything that it was started with.
    digest: Digest,
    /// The lease it works under; `None`: it is this gateway's own.
    under: Option<Held>,
    handle: JoinHandle<()>,
}

/// The lease, as this gateway has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    cluster: i64,
    fence: u64,
}

/// A target as it is configured.
struct Target {
    key: Key,
    shared: bool,
    digest: Digest,
    forwarder: Forwarder,
    reader: Option<(AccessId, SecretString)>,
}

/// Who keeps the place of a target.
enum Keeping {
    /// This gateway sends, from there on; and what is wrong with that place.
    Here(Keeper, Cursor, Option<String>),
    /// Another gateway sends.
    Elsewhere,
    /// Nobody can.
    Impossible(&'static str),
}

impl Forwarders {
    /// Ends what should not run, and begins what should.
    ///
    /// # Errors
    /// When places cannot be read; what needs none runs all the same.
    pub(super) async fn reconcile(&self, running: &mut Running) -> Result<(), Fault> {
        let targets = self.targets();
        let wanted = targets.iter().any(|target| target.shared && target.forwarder.enabled);
        let held = self.lease(wanted);
        let fits = |key: &Key, task: &Task| {
            targets.iter().any(|target| {
                let under = if target.shared { held } else { None };
                target.key == *key && target.digest == task.digest && under == task.under
            })
        };
        let unfit = |(key, task): (&Key, &Task)| {
            (task.handle.is_finished() || !fits(key, task)).then(|| key.clone())
        };
        let ending: Vec<Key> = running.tasks.iter().filter_map(unfit).collect();
        for key in ending {
            self.end(running, &key).await;
        }
        self.states().retain(|key, _| targets.iter().any(|target| target.key == *key));
        let known = self.shared_places(running, &targets);
        let mut places = None;
        let mut failed = Ok(());
        for target in targets {
            if running.tasks.contains_key(&target.key) {
                continue;
            }
            if let Err(fault) = self.begin(running, target, held, &mut places).await {
                failed = Err(fault);
            }
        }
        self.forget_places(running, known, held).await;
        if !wanted {
            self.give_up_lease().await;
        }
        failed
    }

    /// The cluster's targets, and what their places are called at control.
    fn shared_places(&self, running: &Running, targets: &[Target]) -> BTreeMap<Key, String> {
        let all = self.configs.of_kind(FORWARDER).into_iter().filter(|known| known.shared);
        let named = all.filter_map(|known| {
            let key = (known.account, known.name);
            let target = targets.iter().find(|target| target.key == key);
            let place_key = target.and_then(|target| target.forwarder.place_key.as_ref());
            let place = place_key.map(|one| PlaceKey::new(one, key.0, &key.1).at_control().into());
            // One that cannot be read now is where it was.
            let place = place.or_else(|| running.known.get(&key).cloned())?;
            Some((key, place))
        });
        named.collect()
    }

    /// Has control forget the places of targets that went while this gateway looked: control keeps
    /// only so many. One that this gateway does not know yet is no such target. What was noted here
    /// of one that is gone goes, too.
    async fn forget_places(
        &self,
        running: &mut Running,
        now: BTreeMap<Key, String>,
        held: Option<Held>,
    ) {
        let before = std::mem::replace(&mut running.known, now);
        let all = self.configs.of_kind(FORWARDER);
        for (account, name) in before.keys() {
            if !all.iter().any(|known| known.account == *account && known.name == *name) {
                let file = self.file(*account, name);
                let removed = tokio::task::spawn_blocking(move || file.remove()).await;
                if let Ok(Err(fault)) = removed {
                    tracing::info!(?fault, "the note about a log target that is gone stays");
                }
            }
        }
        running.gone.extend(before.into_values());
        let Running { known, gone, .. } = running;
        gone.retain(|place| !known.values().any(|known| known == place));
        let Some((held, member)) = held.zip(self.member.as_ref()) else {
            // Where nobody has the lease for long, the rest stays.
            while running.gone.len() > GONE_MAX {
                running.gone.pop_first();
            }
            return;
        };
        for name in std::mem::take(&mut running.gone) {
            place::forget(member, held.cluster, held.fence, &name).await;
        }
    }

    /// The targets that are configured. What cannot be read is logged.
    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for known in self.configs.of_kind(FORWARDER) {
            let target = self.target(known.account, &known.name, known.shared);
            match target {
                Ok(target) => targets.extend(target),
                Err(fault) => tracing::error!(?fault, "a log target is not usable"),
            }
        }
        targets
    }

    fn target(
        &self,
        account: AccountId,
        name: &str,
        shared: bool,
    ) -> Result<Option<Target>, Fault> {
        let Some((_, body)) = self.configs.get(account, FORWARDER, name)? else { return Ok(None) };
        let reader = self.configs.get(account, READER, "")?;
        let (reader_id, reader_key) = match &reader {
            Some((id, key)) => (id.as_str(), key.expose().as_str()),
            None => ("", ""),
        };
        let parts = [body.expose().as_bytes(), &[0], reader_id.as_bytes(), &[0]];
        let digest = sha256(&[parts.as_slice(), &[reader_key.as_bytes()]].concat());
        let forwarder = Forwarder::from_json(name, &body)?;
        Ok(Some(Target { key: (account, name.to_owned()), shared, digest, forwarder, reader }))
    }

    /// The lease, if this gateway has it; from now on it asks for it when it is wanted.
    fn lease(&self, wanted: bool) -> Option<Held> {
        let member = self.member.as_ref()?;
        if wanted {
            member.leases().want(LEASE);
        }
        let fence = member.leases().held(LEASE)?;
        Some(Held { cluster: member.joined()?.cluster, fence })
    }

    async fn give_up_lease(&self) {
        if let Some(member) = &self.member
            && let Some(fence) = member.leases().give_up(LEASE)
        {
            member.release(LEASE, fence).await;
        }
    }

    /// Ends the task of a target, and waits until it has.
    async fn end(&self, running: &mut Running, key: &Key) {
        let Some(task) = running.tasks.remove(key) else { return };
        task.handle.abort();
        // It was ended, or has failed, which its log says.
        let _ended = task.handle.await;
    }

    /// Begins to send to a target, if it is this gateway's to do.
    async fn begin(
        &self,
        running: &mut Running,
        target: Target,
        held: Option<Held>,
        places: &mut Option<Vec<(String, String)>>,
    ) -> Result<(), Fault> {
        let Target { key, shared, digest, forwarder, reader } = target;
        let account = key.0;
        let under = held.filter(|_| shared);
        let state = |cursor: &Cursor| SharedState::new(&forwarder, cursor);
        let (keeper, cursor, wrong) =
            match self.keeping(&forwarder, &key, shared, under, places).await? {
                Keeping::Here(keeper, cursor, wrong) => (keeper, cursor, wrong),
                Keeping::Elsewhere => {
                    let state = state(&Cursor::before(1));
                    state.elsewhere();
                    self.states().insert(key, state);
                    return Ok(());
                }
                Keeping::Impossible(why) => {
                    let state = state(&Cursor::before(1));
                    state.trouble(why);
                    self.states().insert(key, state);
                    return Ok(());
                }
            };
        let cursor = cursor.following(forwarder.begin.as_ref());
        let state = state(&cursor);
        if let Some(wrong) = wrong {
            state.found(&wrong);
        }
        self.states().insert(key.clone(), state.clone());
        if !forwarder.enabled {
            return Ok(());
        }
        let Some(token) = self.reader_of(running, account, reader, &state) else { return Ok(()) };
        let way = self.way.clone().of(account);
        let outlet = match forwarder.sink.open(&forwarder.settings, &way) {
            Ok(outlet) => outlet,
            Err(fault) => {
                state.trouble(fault.public());
                return Ok(());
            }
        };
        let worker = Worker {
            account,
            format: forwarder.format,
            pull_seconds: forwarder.pull_seconds,
            filter: forwarder.filter.clone(),
            plane: self.plane.clone(),
            token,
            way,
            outlet,
            keeper,
            cursor,
            state,
        };
        let handle = tokio::spawn(worker.run());
        running.tasks.insert(key, Task { digest, under, handle });
        Ok(())
    }

    /// Who keeps the place of a target, and where it is.
    ///
    /// # Errors
    /// When control does not say where the cluster's target is.
    async fn keeping(
        &self,
        forwarder: &Forwarder,
        (account, name): &Key,
        shared: bool,
        under: Option<Held>,
        places: &mut Option<Vec<(String, String)>>,
    ) -> Result<Keeping, Fault> {
        let file = self.file(*account, name);
        if !shared {
            let (cursor, damaged) = file.read();
            let wrong = damaged.then(|| UNREADABLE.to_owned());
            return Ok(Keeping::Here(Keeper::File(file), cursor, wrong));
        }
        let joined = self.member.as_ref().and_then(|member| Some((member, member.joined()?)));
        let Some((member, joined)) = joined.filter(|_| forwarder.enabled) else {
            return Ok(Keeping::Elsewhere);
        };
        let Some(key) = &forwarder.place_key else {
            return Ok(Keeping::Impossible(
                "it was set before gateways signed places: set it again",
            ));
        };
        let key = PlaceKey::new(key, *account, name);
        let told = async {
            let all = match places {
                Some(all) => all,
                None => places.insert(place::of_cluster(member, joined.cluster).await?),
            };
            Ok::<_, Fault>(key.find(all))
        };
        let wish = forwarder.begin.as_ref().map(|wish| wish.id);
        let Some(Held { cluster, fence }) = under else {
            // So that control cannot take back later how far another gateway came.
            match told.await {
                Ok(told) => note(&file, told, wish).await?,
                Err(fault) => tracing::debug!(?fault, "the place of a log target is not noted"),
            }
            return Ok(Keeping::Elsewhere);
        };
        let (cursor, wrong) = go_on(told.await?, file.noted(), wish);
        let place = ClusterPlace { member: member.clone(), cluster, fence, key, note: file };
        Ok(Keeping::Here(Keeper::Cluster(Box::new(place)), cursor, wrong))
    }

    /// What the log of an account is read as; one for all its targets, with one token.
    fn reader_of(
        &self,
        running: &mut Running,
        account: AccountId,
        reader: Option<(AccessId, SecretString)>,
        state: &SharedState,
    ) -> Option<Arc<Reader>> {
        let Some((id, key)) = reader else {
            state.trouble("there is nobody to read the log as: see gateway-update-log-reader");
            return None;
        };
        let digest = sha256(&[id.as_str().as_bytes(), &[0], key.expose().as_bytes()]);
        if let Some((known, reader)) = running.readers.get(&account)
            && *known == digest
        {
            return Some(reader.clone());
        }
        match Reader::new(self.plane.clone(), self.way.clone(), id, &key) {
            Ok(reader) => {
                let reader = Arc::new(reader);
                running.readers.insert(account, (digest, reader.clone()));
                Some(reader)
            }
            Err(fault) => {
                state.trouble(fault.public());
                None
            }
        }
    }
}

/// Notes a place that is newer than the one that is noted.
async fn note(file: &CursorFile, told: Told, wish: Option<Uid>) -> Result<(), Fault> {
    let Told::At(told) = told else { return Ok(()) };
    let newer = |noted: Cursor| noted.begun() != wish || noted.at.seq < told.at.seq;
    if told.begun() == wish && file.noted().is_none_or(newer) {
        file.keep(&told).await?;
    }
    Ok(())
}
