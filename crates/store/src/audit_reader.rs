//! Reading the audit chains of a store's folder without opening the store: for the commands that
//! list and verify them, whether a server is running or not.

use std::path::Path;

use keysherd_audit::{ChainVerifier, Finding, HashFn, SignedHead, Verified};
use keysherd_base::{AccountId, Fault, FaultKind};

use crate::audit::{self, StoredRecord, VERIFY_PAGE_LEN};
use crate::engine::Place;
use crate::postgres::{PostgresSettings, Server};
use crate::query::Reader;
use crate::store::database_file;

/// Read-only access to the audit chains in a store's folder.
pub struct AuditReader {
    reader: Reader,
}

impl AuditReader {
    /// Opens the folder. Changes nothing in it and does not disturb a running server.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when there is no store in the folder;
    /// [`FaultKind::Unavailable`] when it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let file = database_file(folder);
        if !file.is_file() {
            return Err(Fault::new(
                FaultKind::NotFound,
                format!("there is no store in {}", folder.display()),
            ));
        }
        let connection = Place::File(file).open_reader().map_err(|fault| {
            let text = format!("cannot read the store in {}", folder.display());
            Fault::unavailable(text).with_private(format_args!("{fault:?}"))
        })?;
        Ok(Self { reader: Reader::new(connection) })
    }

    /// As [`Self::open`], for a store on a server.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when there is no store in the database; [`FaultKind::Unavailable`]
    /// when it cannot be reached.
    pub fn open_database(settings: PostgresSettings) -> Result<Self, Fault> {
        let shown = settings.shown().to_owned();
        let connection = Place::Server(Server::new(settings, false)?).open_reader()?;
        if !connection.has_table("audit_heads")? {
            return Err(Fault::new(FaultKind::NotFound, format!("there is no store in {shown}")));
        }
        Ok(Self { reader: Reader::new(connection) })
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
        let mut verifier = ChainVerifier::new(account, hash);
        let mut after = 0;
        loop {
            self.reader.begin_snapshot()?;
            let page = audit::read_page(&self.reader, account, after, VERIFY_PAGE_LEN);
            self.reader.end_snapshot()?;
            let page = page?;
            after = page.feed(&mut verifier).unwrap_or(after);
            if page.is_last {
                return audit::finish(&self.reader, account, verifier, &page, verify);
            }
        }
    }
}
