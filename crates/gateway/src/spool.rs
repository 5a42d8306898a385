//! Values that were stored while a fragment manager was missing (`fragments.md` 5.7).
//!
//! With fewer than all managers, a lie about leg S can go unseen, and what was sealed under a wrong
//! key might never open again. So the data key of such a value is wrapped a second time (kind 3)
//! under a key that only this gateway has. That wrap never leaves the gateway: it lies here, as one
//! file for each value, until all managers have agreed about the first wrap. If they do not, it is
//! what the value is rescued with. Then it is removed.
//!
//! ```text
//! file: 1 | account 16 | item 16 | version u32 | key 16 | key version u32 | fragment 16 | salt 32
//!       | missing u16 | written i64 | wrap 161
//! key of a wrap and its commitment: HKDF-Expand(HKDF-Extract("KSF1/pending" 00, spool key),
//!       "KSF1/pending" 00 | account | item | version | salt of the wrap, 64)
//! ```
//! Whoever steals the gateway's disk *and* control's database can open the values that wait here,
//! and no others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use keysherd_base::{AccountId, Fault, FaultKind, KeyId, Rng, Secret, Timestamp, Uid};
use keysherd_crypto::envelope::{Kek, WrapBytes};
use keysherd_crypto::hash::{hkdf_expand, hkdf_extract};
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_plane::grants::KeyRef;

use crate::files;

#[cfg(test)]
mod tests;

/// Values that may wait; beyond this, writes need all managers.
const ENTRIES_MAX: usize = 10_000;
/// Directory of the entries in the gateway's own.
const DIRECTORY: &str = "unconfirmed";
/// File with the key, beside that directory.
const KEY_FILE: &str = "unconfirmed.key";
const LABEL: &[u8] = b"KSF1/pending\0";
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 16 + 16 + 4 + 16 + 4 + 16 + 32 + 2 + 8;
const ENTRY_BYTES: usize = HEAD_BYTES + size_of::<WrapBytes>();

/// A value that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The account.
    pub(crate) account: AccountId,
    /// The item.
    pub(crate) uid: Uid,
    /// The version.
    pub(crate) version: u32,
    /// The key that wraps what is stored.
    pub(crate) key: KeyRef,
    /// The salt of that wrap.
    pub(crate) salt: [u8; 32],
    /// Who was missing.
    pub(crate) missing: ManagerSet,
    /// When it was written.
    pub(crate) written: Timestamp,
    /// The wrap that is kept here.
    pub(crate) wrap: WrapBytes,
}

/// The values that wait.
pub(crate) struct Spool {
    dir: PathBuf,
    key: Secret<[u8; 32]>,
    waiting: AtomicUsize,
}

impl Spool {
    /// Opens the spool in the directory `home`, making its key at the first start.
    ///
    /// # Errors
    /// [`Fault::internal`] when files cannot be read or written.
    pub(crate) fn open(home: &Path, rng: &dyn Rng) -> Result<Self, Fault> {
        let failed = |error: io::Error| {
            let home = home.display();
            Fault::internal(format!("the gateway's own directory {home} is not usable: {error}"))
        };
        let dir = home.join(DIRECTORY);
        files::make_dir(&dir).map_err(failed)?;
        let key = files::key(home, KEY_FILE, rng).map_err(failed)?;
        let waiting = AtomicUsize::new(files::count(&dir));
        Ok(Self { dir, key, waiting })
    }

    /// How many values wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The key of the wrap that is kept here.
    pub(crate) fn kek(
        &self,
        account: AccountId,
        uid: Uid,
        version: u32,
        wrap_salt: &[u8; 32],
    ) -> Kek {
        let prk = hkdf_extract(LABEL, &[self.key.expose()]);
        let (account, version) = (account.0.as_bytes(), version.to_be_bytes());
        let info: [&[u8]; 5] = [LABEL, account, uid.as_bytes(), &version, wrap_salt];
        let mut out = Secret::new([0; 64]);
        hkdf_expand(prk.expose(), &info, out.expose_mut());
        let mut kek = Secret::new([0; 32]);
        let (key, com) = out.expose().split_at(32);
        kek.expose_mut().copy_from_slice(key);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(com);
        Kek { kek, com: commitment }
    }

    /// Keeps an entry durably. Blocks.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many wait, or the disk does not take it: the value must not
    /// be stored then.
    pub(crate) fn keep(&self, entry: &Entry) -> Result<(), Fault> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= ENTRIES_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::unavailable(format!(
                "nothing was written: a fragment manager is missing, and {ENTRIES_MAX} values \
                 wait for its confirmation already; bring it back"
            )));
        }
        files::write(&self.dir, &entry.name(), &entry.to_bytes()).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let (kind, why) = match files::is_full(&error) {
                true => (FaultKind::StorageFull, "its disk is full"),
                false => (FaultKind::Unavailable, "see its log"),
            };
            let text = format!(
                "nothing was written: a fragment manager is missing, and the gateway cannot keep \
                 what it needs in order to confirm the value later; {why}"
            );
            Fault::new(kind, text).with_private(error)
        })
    }

    /// The entries, at most `limit`. Those that cannot be read are logged and left. Blocks.
    pub(crate) fn entries(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let names = files::list(&self.dir)?;
        self.waiting.store(names.len(), Ordering::Relaxed);
        let mut entries = Vec::new();
        for name in names.into_iter().take(limit) {
            match std::fs::read(self.dir.join(&name)).ok().and_then(|bytes| Entry::parse(&bytes)) {
                Some(entry) if entry.name() == name => entries.push(entry),
                _ => tracing::warn!(name, "an unreadable file among the unconfirmed values"),
            }
        }
        Ok(entries)
    }

    /// Removes an entry. Blocks.
    pub(crate) fn remove(&self, entry: &Entry) -> io::Result<()> {
        files::remove(&self.dir, &entry.name())?;
        self.waiting.store(files::count(&self.dir), Ordering::Relaxed);
        Ok(())
    }
}

impl Entry {
    /// Unique to one write: two that race for a version have different salts.
    fn name(&self) -> String {
        let salt = self.salt.first_chunk::<8>().copied().unwrap_or_default();
        format!("{}-{}-{}", self.uid, self.version, hex::encode(salt))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let fragment = self.key.customer_fragment.unwrap_or_default();
        let parts: [&[u8]; 11] = [
            &[FORMAT],
            self.account.0.as_bytes(),
            self.uid.as_bytes(),
            &self.version.to_be_bytes(),
            self.key.key_id.as_bytes(),
            &self.key.version.to_be_bytes(),
            fragment.as_bytes(),
            &self.salt,
            &self.missing.bits().to_be_bytes(),
            &self.written.0.to_be_bytes(),
            &self.wrap,
        ];
        parts.concat()
    }

    /// Reads an entry; `None` unless every byte is as it must be.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != ENTRY_BYTES {
            return None;
        }
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [FORMAT] {
            return None;
        }
        let account = AccountId(Uid(take(&mut rest)?));
        let uid = Uid(take(&mut rest)?);
        let version = u32::from_be_bytes(take(&mut rest)?);
        let key_id: KeyId = Uid(take(&mut rest)?);
        let key_version = u32::from_be_bytes(take(&mut rest)?);
        let fragment = Uid(take(&mut rest)?);
        let salt = take(&mut rest)?;
        let missing = ManagerSet::from_bits(u16::from_be_bytes(take(&mut rest)?))?;
        let written = Timestamp(i64::from_be_bytes(take(&mut rest)?));
        let customer_fragment = (fragment != Uid::default()).then_some(fragment);
        let key = KeyRef { key_id, version: key_version, customer_fragment };
        Some(Self { account, uid, version, key, salt, missing, written, wrap: take(&mut rest)? })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}
