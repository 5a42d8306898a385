//! The index's file: opening it, and throwing away what is not of use any more.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keysherd_audit::Link;
use keysherd_base::{AccountId, Fault, Uid};

use crate::audit::{self, row_id};
use crate::engine::{Connection, NotCommitted};
use crate::meta;
use crate::query::{Query, Reader, Row, Tx, all, first, run};
use crate::sqlite;

use super::segments;

const SCHEMA: &str = include_str!("../../migrations/audit_index.sql");
/// Grows with every change of the schema or of what a term is.
const VERSION: &str = "1";
const VERSION_NAME: &str = "index_version";

const POSITIONS: &str = "SELECT chain, account, segments, segments_link, used, used_link \
                         FROM positions ORDER BY chain";
const POSITION: &str = "SELECT chain, account, segments, segments_link, used, used_link \
                        FROM positions WHERE chain = ?1";
const PUT_POSITION: &str = "INSERT INTO positions \
    (chain, account, segments, segments_link, used, used_link) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
    ON CONFLICT (chain) DO UPDATE SET segments = excluded.segments, \
    segments_link = excluded.segments_link, used = excluded.used, used_link = excluded.used_link";
const FORGET_POSITION: &str = "DELETE FROM positions WHERE chain = ?1";
const FORGET_USES: &str = "DELETE FROM uses WHERE account = ?1";
const FORGET_DAYS: &str = "DELETE FROM days WHERE account = ?1";

/// How far a chain is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) chain: i64,
    pub(super) account: AccountId,
    /// Whole segments.
    pub(super) segments: u64,
    pub(super) segments_link: Link,
    /// The last record whose use was taken down.
    pub(super) used: u64,
    pub(super) used_link: Link,
}

impl Position {
    pub(super) const fn start(chain: i64, account: AccountId) -> Self {
        let (segments_link, used_link) = (keysherd_audit::NO_LINK, keysherd_audit::NO_LINK);
        Self { chain, account, segments: 0, segments_link, used: 0, used_link }
    }

    /// The last record that a whole segment has.
    pub(super) const fn indexed(&self) -> u64 {
        self.segments * segments::LEN
    }
}

/// Opens the index, making it anew when it cannot be used.
pub(super) fn open(file: &Path) -> Result<Tx, Fault> {
    match open_as_it_is(file) {
        Ok(tx) => Ok(tx),
        Err(fault) => {
            tracing::warn!(?fault, "the index of the audit log is made anew");
            remove(file).map_err(Fault::internal)?;
            open_as_it_is(file)
        }
    }
}

fn open_as_it_is(file: &Path) -> Result<Tx, Fault> {
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
    drop(made.map_err(Fault::internal)?);
    let tx = Tx::new(Connection::Sqlite(sqlite::Connection::open_index(file)?));
    if !tx.raw().has_table("meta")? {
        in_transaction(&tx, || {
            tx.raw().define(SCHEMA)?;
            meta::put(&tx, VERSION_NAME, VERSION)
        })?;
    }
    match meta::get(&tx, VERSION_NAME)?.as_deref() {
        Some(VERSION) => Ok(tx),
        other => Err(Fault::internal(format_args!("its version is {other:?}"))),
    }
}

/// Does `work` in a transaction of the index.
pub(super) fn in_transaction(
    tx: &Tx,
    work: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    tx.raw().begin_write()?;
    let outcome = work().and_then(|()| tx.raw().commit().map_err(NotCommitted::into_fault));
    if outcome.is_err() {
        // The fault that made it necessary is the one to report.
        let _ = tx.raw().roll_back();
    }
    outcome
}

fn remove(file: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Forgets the chains that are not those that were indexed: after a restored backup.
pub(super) fn check(tx: &Tx, chains: &Reader) -> Result<(), Fault> {
    for position in all(tx, POSITIONS, &[], position_of)? {
        let chain = audit::stored_head(chains, position.account)?.map(|(_, chain)| chain);
        let same = chain == Some(position.chain)
            && leads_through(chains, &position, position.indexed(), &position.segments_link)?
            && leads_through(chains, &position, position.used, &position.used_link)?;
        if !same {
            tracing::warn!(account = %position.account, "another audit chain; it is indexed anew");
            in_transaction(tx, || forget(tx, &position))?;
        }
    }
    Ok(())
}

fn leads_through(q: &Reader, at: &Position, seq: u64, link: &Link) -> Result<bool, Fault> {
    Ok(seq == 0 || audit::link_at(q, row_id(at.chain, seq))?.as_ref() == Some(link))
}

fn forget(tx: &Tx, position: &Position) -> Result<(), Fault> {
    segments::forget(tx, position.chain)?;
    run(tx, FORGET_USES, &[(&position.account).into()])?;
    run(tx, FORGET_DAYS, &[(&position.account).into()])?;
    run(tx, FORGET_POSITION, &[position.chain.into()])?;
    Ok(())
}

/// How far the chain is indexed.
pub(super) fn position(q: &dyn Query, chain: i64) -> Result<Option<Position>, Fault> {
    first(q, POSITION, &[chain.into()], position_of)
}

/// Keeps how far a chain is indexed.
pub(super) fn put_position(tx: &Tx, at: &Position) -> Result<(), Fault> {
    let args = [
        at.chain.into(),
        (&at.account).into(),
        segments::number(at.segments)?.into(),
        at.segments_link.as_slice().into(),
        segments::number(at.used)?.into(),
        at.used_link.as_slice().into(),
    ];
    run(tx, PUT_POSITION, &args)?;
    Ok(())
}

fn position_of(row: &Row<'_>) -> Result<Position, Fault> {
    Ok(Position {
        chain: row.int(0)?,
        account: AccountId(Uid(row.array(1)?)),
        segments: row.number(2)?,
        segments_link: row.array(3)?,
        used: row.number(4)?,
        used_link: row.array(5)?,
    })
}
