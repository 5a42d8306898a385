//! Log forwarding: each target of an account has a task of its own, which reads the audit log,
//! sends it, and remembers durably how far it came.
//!
//! A target that does not answer holds up nothing but itself: its task keeps one page of records
//! and tries again, while control keeps the rest. What a task is (what it reads the log as, where
//! it is in the log, what it sends to) is in the files below.

mod cursor;
mod reader;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use keysherd_api::{
    Config, Configs, Forwarder, ForwarderState, Forwarding, LogReader, ReaderAdmitted,
};
use keysherd_base::{AccessId, AccountId, Fault};
use keysherd_plane::{BoxFuture, PlaneHandle};
use keysherd_sinks::Way;
use tokio::task::JoinHandle;

use self::cursor::{Cursor, CursorFile};
use self::reader::Reader;
use self::worker::{SharedState, Worker};
use crate::configs::ConfigStore;
use crate::files;

/// Kinds of configurations.
const READER: &str = "log-reader";
const FORWARDER: &str = "log-forwarder";
/// Directory of the cursors in the gateway's own.
const DIRECTORY: &str = "forwarding";
/// Most targets of one account.
const FORWARDERS_MAX: usize = 16;

type Key = (AccountId, String);

/// The log targets of a gateway.
pub struct Forwarders {
    configs: Arc<ConfigStore>,
    plane: PlaneHandle,
    way: Way,
    dir: PathBuf,
    /// Held while something is changed, so that no two tasks have one cursor.
    running: tokio::sync::Mutex<Running>,
    states: std::sync::Mutex<BTreeMap<Key, SharedState>>,
}

#[derive(Default)]
struct Running {
    readers: BTreeMap<AccountId, Arc<Reader>>,
    tasks: BTreeMap<Key, JoinHandle<()>>,
}

impl Forwarders {
    /// Goes on with the targets that are in `configs`; cursors are in a directory of `home`. Call
    /// it on the runtime that will serve.
    ///
    /// # Errors
    /// [`Fault::internal`] when the directory cannot be made.
    pub fn start(
        home: &Path,
        configs: Arc<ConfigStore>,
        plane: PlaneHandle,
        way: Way,
    ) -> Result<Arc<Self>, Fault> {
        let dir = home.join(DIRECTORY);
        files::make_dir(&dir)
            .map_err(|error| Fault::internal(format_args!("{}: {error}", dir.display())))?;
        let mut running = Running::default();
        for config in configs.of_kind(READER) {
            match Reader::new(plane.clone(), way.clone(), config.access_id, &config.body) {
                Ok(reader) => drop(running.readers.insert(config.account, Arc::new(reader))),
                Err(fault) => tracing::error!(?fault, "an audit log's reader is not usable"),
            }
        }
        let forwarders = Self {
            configs,
            plane,
            way,
            dir,
            running: tokio::sync::Mutex::default(),
            states: std::sync::Mutex::default(),
        };
        for config in forwarders.configs.of_kind(FORWARDER) {
            match Forwarder::from_json(&config.name, &config.body) {
                Ok(forwarder) => {
                    forwarders.spawn(&mut running, config.account, forwarder, None)?;
                }
                Err(fault) => tracing::error!(?fault, "a log target is not usable"),
            }
        }
        Ok(Arc::new(Self { running: tokio::sync::Mutex::new(running), ..forwarders }))
    }

    /// How all targets are doing, for `/status`.
    pub fn all_states(&self) -> Vec<ForwarderState> {
        self.states_where(|_| true)
    }

    fn states_where(&self, wanted: impl Fn(&AccountId) -> bool) -> Vec<ForwarderState> {
        // Any state of the map is a good one, so a poisoned lock is usable.
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = states.iter().filter(|((account, _), _)| wanted(account));
        wanted.map(|(_, state)| state.get()).collect()
    }

    fn file(&self, account: AccountId, name: &str) -> CursorFile {
        CursorFile::new(&self.dir, account, name)
    }

    /// Begins to send, from the record `from` if that is said.
    fn spawn(
        &self,
        running: &mut Running,
        account: AccountId,
        forwarder: Forwarder,
        from: Option<u64>,
    ) -> Result<(), Fault> {
        let file = self.file(account, &forwarder.name);
        let (mut cursor, damaged) = file.read();
        if let Some(from) = from {
            cursor = Cursor::before(from);
            file.write(&cursor)?;
        }
        let state = SharedState::new(&forwarder, &cursor);
        if damaged && from.is_none() {
            state.found("its place in the log could not be read: everything is sent again");
        }
        let key = (account, forwarder.name.clone());
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(key.clone(), state.clone());
        drop(states);
        if !forwarder.enabled {
            return Ok(());
        }
        let Some(reader) = running.readers.get(&account) else {
            state.trouble("there is nobody to read the log as: see gateway-update-log-reader");
            return Ok(());
        };
        let outlet = match forwarder.sink.open(&forwarder.settings, &self.way) {
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
            token: reader.clone(),
            way: self.way.clone(),
            outlet,
            file,
            cursor,
            state,
        };
        running.tasks.insert(key, tokio::spawn(worker.run()));
        Ok(())
    }

    /// Ends the task of a target, and waits until it has.
    async fn end(running: &mut Running, key: &Key) {
        if let Some(task) = running.tasks.remove(key) {
            task.abort();
            // It was ended, or has failed, which its log says.
            let _ended = task.await;
        }
    }

    async fn restart_all(&self, running: &mut Running, account: AccountId) -> Result<(), Fault> {
        for config in self.configs.of_kind(FORWARDER) {
            if config.account == account {
                let forwarder = Forwarder::from_json(&config.name, &config.body)?;
                Self::end(running, &(account, config.name)).await;
                self.spawn(running, account, forwarder, None)?;
            }
        }
        Ok(())
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
            running.readers.insert(account, Arc::new(reader));
            self.restart_all(&mut running, account).await?;
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
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let access_id = self.reader(account)?.ok_or_else(|| {
                Fault::bad_request(
                    "this gateway has nobody to read the audit log as; name an API key that may \
                     read all of it with gateway-update-log-reader first",
                )
            })?;
            let key = (account, forwarder.name.clone());
            let known = self.configs.get(account, FORWARDER, &key.1)?.is_some();
            let count = self.states(account).len();
            if !known && count >= FORWARDERS_MAX {
                return Err(Fault::bad_request(format!(
                    "the account has {count} log targets on this gateway, which is the most; \
                     delete one"
                )));
            }
            let (name, body) = (key.1.clone(), forwarder.to_json()?);
            let config = Config { account, kind: FORWARDER, name, access_id, body };
            // Before anything is stopped: a change that is refused leaves the target at work.
            self.configs.put(config, known.then_some(key.1.as_str())).await?;
            Self::end(&mut running, &key).await;
            self.spawn(&mut running, account, forwarder, from)
        })
    }

    fn remove<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            let key = (account, name.to_owned());
            let was = self.configs.remove(account, FORWARDER, name).await?;
            Self::end(&mut running, &key).await;
            // Later than its settings: a crash in between leaves a place that nobody looks at.
            self.file(account, name).remove()?;
            self.states.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            Ok(was)
        })
    }

    fn states(&self, account: AccountId) -> Vec<ForwarderState> {
        self.states_where(|known| *known == account)
    }
}
