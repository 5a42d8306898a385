//! Reading the audit chains of a store's folder without opening the store: for the commands that
//! list and verify them, whether a server is running or not.

use std::path::{Path, PathBuf};

use keysherd_audit::{Finding, HashFn, SignedHead, Verified};
use keysherd_base::{AccountId, Fault};

use crate::audit::{self, StoredRecord};
use crate::postgres::PostgresSettings;
use crate::query::Reader;
use crate::upkeep::StorePlace;

/// Read-only access to the audit chains in a store's folder.
pub struct AuditReader {
    reader: Reader,
}

impl AuditReader {
    /// Opens the folder. Changes nothing in it and does not disturb a running server.
    ///
    /// # Errors
    /// That there is no store in the folder, or that it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        Self::of(&StorePlace::new(folder.to_owned(), None))
    }

    /// As [`Self::open`], for a store on a server.
    ///
    /// # Errors
    /// That there is no store in the database, or that it cannot be reached.
    pub fn open_database(settings: PostgresSettings) -> Result<Self, Fault> {
        Self::of(&StorePlace::new(PathBuf::new(), Some(settings)))
    }

    fn of(place: &StorePlace) -> Result<Self, Fault> {
        Ok(Self { reader: place.reader()? })
    }

    /// The signed heads of all chains, by account.
    ///
    /// # Errors
    /// Only when the store is broken.
    pub fn heads(&self) -> Result<Vec<SignedHead>, Fault> {
        audit::heads(&self.reader)
    }

    /// As [`audit::records`].
    ///
    /// # Errors
    /// Only when the store is broken.
    pub fn records(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, Fault> {
        audit::records(&self.reader, account, after, limit)
    }

    /// As [`audit::verify`], page by page: a long chain does not keep a running server's log from
    /// being checkpointed.
    ///
    /// # Errors
    /// As [`audit::verify`].
    pub fn verify(
        &self,
        account: AccountId,
        hash: HashFn,
        verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
    ) -> Result<Result<Verified, Finding>, Fault> {
        audit::verify_by_page(&self.reader, account, hash, verify)
    }
}
