//! The gateway's own configurations: of clusters and directories that it signs for.
//!
//! Each is a file of mode 0600 in the directory `configs`, sealed under a key that lies beside it:
//! a copy of these files alone tells nothing, one of the whole data directory everything. Names of
//! files are hashes; what a file holds is bound to its name, so files cannot change places.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_api::{Config, ConfigName, Configs, OFFLINE_CONFIG, in_no_cluster};
use keysherd_base::{
    AccessId, AccountId, Fault, FaultKind, ItemPath, RngHandle, Secret, SecretBytes, SecretString,
};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::vault::{SECRET_BYTES_MAX, VaultKey};
use keysherd_plane::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::files;

mod gone;
#[cfg(test)]
mod tests;

pub use gone::forget_gone_methods;

/// What the sealing key is used for.
const PURPOSE: &str = "gateway-config";
/// Directory of the files in the gateway's own.
const DIRECTORY: &str = "configs";
/// File with the key, beside that directory.
const KEY_FILE: &str = "configs.key";
/// Ending of the files.
const ENDING: &str = ".sealed";
/// Most configurations of one gateway.
const CONFIGS_MAX: usize = 1_024;
/// Most configurations of one account at a gateway, so that it takes eight to fill it.
const CONFIGS_OF_ACCOUNT_MAX: usize = 128;
/// Most offline policies of one account: whoever may write these may leave room for the rest.
const OFFLINE_POLICIES_MAX: usize = 64;
/// Longest body, in bytes: certificates are the longest part of it.
const BODY_BYTES_MAX: usize = 48 * 1024;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) account: AccountId,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) access_id: AccessId,
    body: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.body)));
    }
}

impl Entry {
    /// `config` as it is kept.
    pub(crate) fn new(config: Config) -> Self {
        let Config { account, kind, name, access_id, body } = config;
        Self { account, kind: kind.to_owned(), name, access_id, body: body.expose().clone() }
    }

    pub(crate) fn body(&self) -> SecretString {
        Secret::new(self.body.clone())
    }

    /// Whether it is as somebody read it.
    pub(crate) fn says(&self, read: &(AccessId, SecretString)) -> bool {
        self.access_id == read.0 && self.body == *read.1.expose()
    }

    /// Has it say something else.
    pub(crate) fn put_body(&mut self, body: &SecretString) {
        drop(Secret::new(std::mem::replace(&mut self.body, body.expose().clone())));
    }

    pub(crate) fn is(&self, account: AccountId, kind: &str, name: &str) -> bool {
        self.account == account && self.kind == kind && self.name == name
    }

    /// Which one it is.
    pub(crate) fn called(&self, shared: bool) -> ConfigName {
        let Self { account, name, access_id, .. } = self;
        ConfigName { account: *account, name: name.clone(), access_id: access_id.clone(), shared }
    }

    pub(crate) fn signs_for(&self, kind: &str, name: &str, access_id: &AccessId) -> bool {
        self.kind == kind && self.name == name && self.access_id == *access_id
    }
}

/// Account, kind, name and body of a configuration.
pub type Looked = (AccountId, String, String, SecretString);

/// The configurations, in memory and in their files.
pub struct ConfigStore {
    dir: PathBuf,
    key: VaultKey,
    rng: RngHandle,
    entries: Mutex<HashMap<String, Entry>>,
    news: watch::Sender<()>,
}

impl ConfigStore {
    /// Reads the files in the directory `configs` of `home`. One that is damaged is logged and
    /// left alone: logins that need it fail, everything else goes on.
    ///
    /// # Errors
    /// [`Fault::internal`] when the directory cannot be made or read.
    pub fn open(home: &Path, rng: RngHandle) -> Result<Self, Fault> {
        let dir = home.join(DIRECTORY);
        files::make_dir(&dir).map_err(|error| cannot(&dir, &error))?;
        let key = files::key(home, KEY_FILE, &*rng).map_err(|error| cannot(home, &error))?;
        let key = VaultKey::new(&key);
        let entries = entries_in(&dir, &key)?;
        let (entries, news) = (Mutex::new(entries), watch::Sender::new(()));
        Ok(Self { dir, key, rng, entries, news })
    }

    /// One that has nothing and is never written to, for those who only carry a cluster's.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn empty(rng: RngHandle) -> Result<Self, Fault> {
        let mut key = Secret::new([0; 32]);
        rng.fill(key.expose_mut())?;
        let (entries, news) = (Mutex::default(), watch::Sender::new(()));
        Ok(Self { dir: PathBuf::new(), key: VaultKey::new(&key), rng, entries, news })
    }

    /// Account, kind, name and body of every configuration in `home`, for whoever changes nothing
    /// there; `None` when there are files and no key that opens them.
    ///
    /// # Errors
    /// [`Fault::internal`] when the directory or the key cannot be read.
    pub fn look(home: &Path) -> Result<Option<Vec<Looked>>, Fault> {
        let dir = home.join(DIRECTORY);
        let key = match files::read_key(home, KEY_FILE) {
            Ok(key) => VaultKey::new(&key),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let files = files::list(&dir).map_err(|error| cannot(&dir, &error))?;
                return Ok(files.is_empty().then(Vec::new));
            }
            Err(error) => return Err(cannot(home, &error)),
        };
        let entries = entries_in(&dir, &key)?;
        let all = entries.values().map(|e| (e.account, e.kind.clone(), e.name.clone(), e.body()));
        Ok(Some(all.collect()))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // The map changes only after the disk did, in one statement each.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `config`, as [`Configs::put`] says.
    fn keep(&self, config: Config, replaces: Option<&str>) -> Result<(), Fault> {
        self.keep_over(config, replaces, None)
    }

    /// The same, or as [`Configs::put_changed`] says if it was made from `read`.
    pub(crate) fn keep_over(
        &self,
        config: Config,
        replaces: Option<&str>,
        read: Option<&(AccessId, SecretString)>,
    ) -> Result<(), Fault> {
        let entry = Entry::new(config);
        check(&entry)?;
        let (account, kind) = (entry.account, entry.kind.as_str());
        let file = file_name(account, kind, &entry.name);
        let old = replaces.map(|old| file_name(account, kind, old));
        let mut entries = self.entries();
        let there = old.as_ref().and_then(|old| entries.get(old));
        if read.is_some_and(|read| there.is_none_or(|there| !there.says(read))) {
            return Err(changed_meanwhile());
        }
        if old.is_some() && there.is_none() {
            return Err(absent(kind, replaces.unwrap_or_default()));
        }
        if old.as_ref() != Some(&file) && entries.contains_key(&file) {
            return Err(taken(kind, &entry.name));
        }
        if old.is_none() {
            check_count(entries.values(), &entry)?;
            let of_account = entries.values().filter(|entry| entry.account == account).count();
            if of_account >= CONFIGS_OF_ACCOUNT_MAX {
                return Err(Fault::bad_request(format!(
                    "this gateway has {CONFIGS_OF_ACCOUNT_MAX} configurations of the account, \
                     which is the most; delete one"
                )));
            }
            if entries.len() >= CONFIGS_MAX {
                return Err(Fault::bad_request(format!(
                    "this gateway has {CONFIGS_MAX} configurations, which is the most; use \
                     another gateway"
                )));
            }
        }
        let sealed = self.seal(&file, &entry)?;
        files::write(&self.dir, &file, &sealed).map_err(|error| cannot(&self.dir, &error))?;
        entries.insert(file.clone(), entry);
        // A crash before this leaves both names, and both are good.
        if let Some(old) = old.filter(|old| *old != file) {
            files::remove(&self.dir, &old).map_err(|error| cannot(&self.dir, &error))?;
            entries.remove(&old);
        }
        self.news.send_replace(());
        Ok(())
    }

    /// Forgets one, as [`Configs::remove`] says.
    fn forget(&self, account: AccountId, kind: &str, name: &str) -> Result<bool, Fault> {
        let file = file_name(account, kind, name);
        let mut entries = self.entries();
        if !entries.contains_key(&file) {
            return Ok(false);
        }
        files::remove(&self.dir, &file).map_err(|error| cannot(&self.dir, &error))?;
        let was = entries.remove(&file).is_some();
        self.news.send_replace(());
        Ok(was)
    }

    fn seal(&self, file: &str, entry: &Entry) -> Result<Vec<u8>, Fault> {
        let text = SecretBytes::new(serde_json::to_vec(entry).map_err(Fault::internal)?);
        if text.expose().len() > SECRET_BYTES_MAX {
            return Err(too_long());
        }
        Ok(self.key.seal(PURPOSE, file.as_bytes(), &text, &*self.rng)?)
    }
}

/// The name of the file of a configuration.
fn file_name(account: AccountId, kind: &str, name: &str) -> String {
    let hash = sha256(&[account.0.as_bytes(), kind.as_bytes(), &[0], name.as_bytes()]);
    format!("{}{ENDING}", hex::encode(&hash[..16]))
}

/// What the files in `dir` hold.
fn entries_in(dir: &Path, key: &VaultKey) -> Result<HashMap<String, Entry>, Fault> {
    let mut entries = HashMap::new();
    for file in files::list(dir).map_err(|error| cannot(dir, &error))? {
        let path = dir.join(&file);
        match std::fs::read(&path).map_err(|error| cannot(&path, &error)) {
            Ok(sealed) => match open(key, &file, &sealed) {
                Some(entry) => drop(entries.insert(file, entry)),
                None => tracing::error!(
                    file = %path.display(),
                    "an auth configuration of this gateway is damaged; make it again"
                ),
            },
            Err(fault) => tracing::error!(?fault, "an auth configuration cannot be read"),
        }
    }
    Ok(entries)
}

fn open(key: &VaultKey, file: &str, sealed: &[u8]) -> Option<Entry> {
    let text = key.open(PURPOSE, file.as_bytes(), sealed).ok()?;
    serde_json::from_slice(text.expose()).ok()
}

fn cannot(path: &Path, error: &std::io::Error) -> Fault {
    if files::is_full(error) {
        let text = "this gateway's disk is full, so nothing was changed; its operator has to free \
                    space in its data directory";
        return Fault::new(FaultKind::StorageFull, text).with_private(error);
    }
    Fault::internal(format!("{}: {error}", path.display()))
}

fn too_long() -> Fault {
    Fault::bad_request(format!(
        "the configuration is longer than {BODY_BYTES_MAX} bytes; shorten its certificates"
    ))
}

impl Configs for ConfigStore {
    fn of_method(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault> {
        let entries = self.entries();
        let mut entries = entries.values();
        Ok(entries.find(|entry| entry.signs_for(kind, name, access_id)).map(Entry::body))
    }

    fn get(
        &self,
        account: AccountId,
        kind: &str,
        name: &str,
    ) -> Result<Option<(AccessId, SecretString)>, Fault> {
        let entries = self.entries();
        let entry = entries.get(&file_name(account, kind, name));
        let entry = entry.filter(|entry| entry.is(account, kind, name));
        Ok(entry.map(|entry| (entry.access_id.clone(), entry.body())))
    }

    fn put<'a>(
        &'a self,
        config: Config,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.keep(config, replaces) })
    }

    fn put_changed<'a>(
        &'a self,
        config: Config,
        read: Option<&'a (AccessId, SecretString)>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let name = config.name.clone();
            self.keep_over(config, read.map(|_| name.as_str()), read)
        })
    }

    fn is_shared(&self, _: AccountId) -> Result<bool, Fault> {
        Ok(false)
    }

    fn of_cluster<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SecretString>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn reseal(&self, _: AccountId, _: Option<ItemPath>) -> BoxFuture<'_, Result<u32, Fault>> {
        Box::pin(async { Err(in_no_cluster()) })
    }

    fn version(&self) -> u32 {
        0
    }

    fn of_kind(&self, kind: &str) -> Vec<ConfigName> {
        let entries = self.entries();
        let of_kind = entries.values().filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.called(false)).collect()
    }

    fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn remove<'a>(
        &'a self,
        account: AccountId,
        kind: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move { self.forget(account, kind, name) })
    }
}

/// Refuses what is too long to be kept.
pub(crate) fn check(entry: &Entry) -> Result<(), Fault> {
    if entry.body.len() > BODY_BYTES_MAX {
        return Err(too_long());
    }
    if entry.name.len() > NAME_BYTES_MAX || entry.name.chars().any(char::is_control) {
        return Err(Fault::bad_request(format!(
            "the name is over {NAME_BYTES_MAX} bytes or has control characters"
        )));
    }
    Ok(())
}

/// Refuses `new` when there are as many of its kind already as an account may have.
pub(crate) fn check_count<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    new: &Entry,
) -> Result<(), Fault> {
    if new.kind != OFFLINE_CONFIG {
        return Ok(());
    }
    let same = |entry: &&Entry| entry.account == new.account && entry.kind == new.kind;
    if entries.filter(same).count() < OFFLINE_POLICIES_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "the account has {OFFLINE_POLICIES_MAX} offline policies, which is the most; take one away \
         with max-minutes 0"
    )))
}

/// What is said when the name of a configuration is taken.
pub(crate) fn taken(kind: &str, name: &str) -> Fault {
    Fault::conflict(format!(
        "this gateway has a {kind} configuration '{}' already",
        name.escape_default()
    ))
}

/// What is said when what a change was made from is not what is there any more.
pub(crate) fn changed_meanwhile() -> Fault {
    Fault::conflict(
        "somebody else changed this configuration at the same time; look at it and change it again",
    )
}

/// What is said when there is no such configuration.
pub(crate) fn absent(kind: &str, name: &str) -> Fault {
    Fault::not_found(format!(
        "this gateway has no {kind} configuration '{}'",
        name.escape_default()
    ))
}
