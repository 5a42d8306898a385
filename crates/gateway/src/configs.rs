//! The gateway's own configurations: of clusters and directories that it signs for.
//!
//! Each is a file of mode 0600 in the directory `configs`, sealed under a key that lies beside it:
//! a copy of these files alone tells nothing, one of the whole data directory everything. Names of
//! files are hashes; what a file holds is bound to its name, so files cannot change places.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_api::{Config, Configs};
use keysherd_base::{AccessId, AccountId, Fault, RngHandle, Secret, SecretBytes, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::vault::{SECRET_BYTES_MAX, VaultKey};
use serde::{Deserialize, Serialize};

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
const CONFIGS_MAX: usize = 256;
/// Longest body, in bytes: certificates are the longest part of it.
const BODY_BYTES_MAX: usize = 48 * 1024;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// What a file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    account: AccountId,
    kind: String,
    name: String,
    access_id: AccessId,
    body: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.body)));
    }
}

impl Entry {
    fn body(&self) -> SecretString {
        Secret::new(self.body.clone())
    }

    fn is(&self, account: AccountId, kind: &str, name: &str) -> bool {
        self.account == account && self.kind == kind && self.name == name
    }
}

/// The configurations, in memory and in their files.
pub struct ConfigStore {
    dir: PathBuf,
    key: VaultKey,
    rng: RngHandle,
    entries: Mutex<HashMap<String, Entry>>,
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
        let mut entries = HashMap::new();
        for file in files::list(&dir).map_err(|error| cannot(&dir, &error))? {
            let path = dir.join(&file);
            match std::fs::read(&path).map_err(|error| cannot(&path, &error)) {
                Ok(sealed) => match open(&key, &file, &sealed) {
                    Some(entry) => drop(entries.insert(file, entry)),
                    None => tracing::error!(
                        file = %path.display(),
                        "an auth configuration of this gateway is damaged; make it again"
                    ),
                },
                Err(fault) => tracing::error!(?fault, "an auth configuration cannot be read"),
            }
        }
        Ok(Self { dir, key, rng, entries: Mutex::new(entries) })
    }

    /// All configurations of a kind.
    pub(crate) fn of_kind(&self, kind: &'static str) -> Vec<Config> {
        let entries = self.entries();
        let of_kind = entries.values().filter(|entry| entry.kind == kind);
        let config = |entry: &Entry| Config {
            account: entry.account,
            kind,
            name: entry.name.clone(),
            access_id: entry.access_id.clone(),
            body: entry.body(),
        };
        of_kind.map(config).collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // The map changes only after the disk did, in one statement each.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
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

fn open(key: &VaultKey, file: &str, sealed: &[u8]) -> Option<Entry> {
    let text = key.open(PURPOSE, file.as_bytes(), sealed).ok()?;
    serde_json::from_slice(text.expose()).ok()
}

fn cannot(path: &Path, error: &std::io::Error) -> Fault {
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
        let fits = |entry: &&Entry| {
            entry.kind == kind && entry.name == name && entry.access_id == *access_id
        };
        Ok(entries.find(fits).map(Entry::body))
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

    fn put(&self, config: Config, replaces: Option<&str>) -> Result<(), Fault> {
        let Config { account, kind, name, access_id, body } = config;
        if body.expose().len() > BODY_BYTES_MAX {
            return Err(too_long());
        }
        if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Fault::bad_request(format!(
                "the name is over {NAME_BYTES_MAX} bytes or has control characters"
            )));
        }
        let file = file_name(account, kind, &name);
        let old = replaces.map(|old| file_name(account, kind, old));
        let mut entries = self.entries();
        if let Some(old) = &old
            && !entries.contains_key(old)
        {
            return Err(absent(kind, replaces.unwrap_or_default()));
        }
        if old.as_ref() != Some(&file) && entries.contains_key(&file) {
            return Err(Fault::conflict(format!(
                "this gateway has a {kind} configuration '{}' already",
                name.escape_default()
            )));
        }
        if old.is_none() && entries.len() >= CONFIGS_MAX {
            return Err(Fault::bad_request(format!(
                "this gateway has {CONFIGS_MAX} configurations, which is the most; delete one"
            )));
        }
        let body = body.expose().clone();
        let entry = Entry { account, kind: kind.to_owned(), name, access_id, body };
        let sealed = self.seal(&file, &entry)?;
        files::write(&self.dir, &file, &sealed).map_err(|error| cannot(&self.dir, &error))?;
        entries.insert(file.clone(), entry);
        // A crash before this leaves both names, and both are good.
        if let Some(old) = old.filter(|old| *old != file) {
            files::remove(&self.dir, &old).map_err(|error| cannot(&self.dir, &error))?;
            entries.remove(&old);
        }
        Ok(())
    }

    fn of_kind(&self, kind: &str) -> Vec<(AccountId, String, AccessId)> {
        let entries = self.entries();
        let of_kind = entries.values().filter(|entry| entry.kind == kind);
        let named = |e: &Entry| (e.account, e.name.clone(), e.access_id.clone());
        of_kind.map(named).collect()
    }

    fn remove(&self, account: AccountId, kind: &str, name: &str) -> Result<bool, Fault> {
        let file = file_name(account, kind, name);
        let mut entries = self.entries();
        if !entries.contains_key(&file) {
            return Ok(false);
        }
        files::remove(&self.dir, &file).map_err(|error| cannot(&self.dir, &error))?;
        Ok(entries.remove(&file).is_some())
    }
}

fn absent(kind: &str, name: &str) -> Fault {
    Fault::not_found(format!(
        "this gateway has no {kind} configuration '{}'",
        name.escape_default()
    ))
}
