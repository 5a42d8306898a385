//! Which tasks run, and which should: brought together whenever a configuration or the lease
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_api::Forwarder;
use keysherd_base::{AccessId, AccountId, Fault, SecretString};
use keysherd_crypto::hash::sha256;
use tokio::task::JoinHandle;

use super::cursor::Cursor;
use super::place::{self, ClusterPlace, Keeper, LEASE};
use super::reader::Reader;
use super::worker::{SharedState, Worker};
use super::{FORWARDER, Forwarders, Key, READER};
use crate::membership::Membership;

/// What runs.
#[derive(Default)]
pub(super) struct Running {
    readers: BTreeMap<AccountId, (Digest, Arc<Reader>)>,
    tasks: BTreeMap<Key, Task>,
}

type Digest = [u8; 32];

impl Running {
    /// Ends everything that is done for the cluster.
    pub(super) async fn end_shared(&mut self, forwarders: &Forwarders) {
        let shared = |(key, task): (&Key, &Task)| task.under.map(|_| key.clone());
        let shared: Vec<Key> = self.tasks.iter().filter_map(shared).collect();
        for key in shared {
            forwarders.end(self, &key, false).await;
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
            let gone = !targets.iter().any(|target| target.key == key);
            self.end(running, &key, gone).await;
        }
        self.states().retain(|key, _| targets.iter().any(|target| target.key == *key));
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
        if !wanted {
            self.give_up_lease().await;
        }
        failed
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
    async fn end(&self, running: &mut Running, key: &Key, gone: bool) {
        let Some(task) = running.tasks.remove(key) else { return };
        task.handle.abort();
        // It was ended, or has failed, which its log says.
        let _ended = task.handle.await;
        if let (true, Some(held), Some(member)) = (gone, task.under, &self.member) {
            cluster_place(member, held, &key.1).forget().await;
        }
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
        let (account, name) = &key;
        let under = held.filter(|_| shared);
        let keeping = match (shared, under, &self.member) {
            (false, ..) => {
                let file = self.file(*account, name);
                let (cursor, damaged) = file.read();
                Some((Keeper::File(file), cursor, damaged))
            }
            (true, Some(held), Some(member)) if forwarder.enabled => {
                let (cursor, damaged) = self.place_at_control(member, held, name, places).await?;
                Some((Keeper::Cluster(cluster_place(member, held, name)), cursor, damaged))
            }
            _ => None,
        };
        let Some((keeper, cursor, damaged)) = keeping else {
            let state = SharedState::new(&forwarder, &Cursor::before(1));
            state.elsewhere();
            self.states().insert(key, state);
            return Ok(());
        };
        let cursor = cursor.following(forwarder.begin.as_ref());
        let state = SharedState::new(&forwarder, &cursor);
        if damaged {
            state.found("its place in the log could not be read: everything is sent again");
        }
        self.states().insert(key.clone(), state.clone());
        if !forwarder.enabled {
            return Ok(());
        }
        let Some(token) = self.reader_of(running, *account, reader, &state) else { return Ok(()) };
        let outlet = match forwarder.sink.open(&forwarder.settings, &self.way) {
            Ok(outlet) => outlet,
            Err(fault) => {
                state.trouble(fault.public());
                return Ok(());
            }
        };
        let worker = Worker {
            account: *account,
            format: forwarder.format,
            pull_seconds: forwarder.pull_seconds,
            filter: forwarder.filter.clone(),
            plane: self.plane.clone(),
            token,
            way: self.way.clone(),
            outlet,
            keeper,
            cursor,
            state,
        };
        let handle = tokio::spawn(worker.run());
        running.tasks.insert(key, Task { digest, under, handle });
        Ok(())
    }

    /// Where the cluster's target is, and whether that cannot be read. Places are asked for once.
    async fn place_at_control(
        &self,
        member: &Membership,
        held: Held,
        name: &str,
        places: &mut Option<Vec<(String, String)>>,
    ) -> Result<(Cursor, bool), Fault> {
        let all = match places {
            Some(all) => all,
            None => places.insert(place::of_cluster(member, held.cluster).await?),
        };
        let Some((_, body)) = all.iter().find(|(known, _)| known == name) else {
            return Ok((Cursor::before(1), false));
        };
        let read = Cursor::from_json(body.as_bytes());
        Ok((read.clone().unwrap_or_else(|| Cursor::before(1)), read.is_none()))
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

fn cluster_place(member: &Arc<Membership>, held: Held, name: &str) -> ClusterPlace {
    let Held { cluster, fence } = held;
    ClusterPlace { member: member.clone(), cluster, fence, name: name.to_owned() }
}
