//! What a store needs to know to be opened.

use std::path::PathBuf;
use std::sync::Arc;

use keysherd_audit::HashFn;
use keysherd_base::ClockHandle;

use crate::postgres::PostgresSettings;

/// Signs the body of an audit head under [`keysherd_audit::HEAD_LABEL`].
pub type HeadSigner = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreConfig {
    /// The store's folder; made (mode 0700) when it does not exist. With a database elsewhere it
    /// has only what this process works out from that.
    pub path: PathBuf,
    /// The database for many nodes; `None`: the embedded one, in the folder.
    pub database: Option<PostgresSettings>,
    /// Whether this process must be the only one that writes to the database. What control keeps
    /// in memory assumes it; a store of its own does not care.
    pub alone: bool,
    /// Bytes held in reserve on the disk, or in the database, so that audit records can still be
    /// written when it is full; 8 MiB hold about ten thousand. 0: no reserve.
    pub reserve_bytes: u64,
    /// Read connections, at least 2; one of them is kept free of [`crate::Store::read_blocking`].
    pub readers: usize,
    /// Jobs that may wait for the writer; beyond it new ones are refused as unavailable.
    pub queue_max: usize,
    /// The hash of the audit chain.
    pub hash: HashFn,
    /// The signer of audit heads.
    pub head_signer: HeadSigner,
    /// The clock.
    pub clock: ClockHandle,
}

impl StoreConfig {
    /// A configuration with the defaults: 8 MiB of reserve, 4 readers, 16,384 waiting jobs.
    pub fn new(
        path: impl Into<PathBuf>,
        hash: HashFn,
        head_signer: HeadSigner,
        clock: ClockHandle,
    ) -> Self {
        Self {
            path: path.into(),
            database: None,
            alone: true,
            reserve_bytes: 8 << 20,
            readers: 4,
            queue_max: 16_384,
            hash,
            head_signer,
            clock,
        }
    }
}
