//! Looking after a store as a whole, where no control plane has it open: checking it, bringing its
//! schema up to date, and carrying it elsewhere.
//!
//! Checking and exporting read one unchanging moment and disturb nobody; importing wants the store
//! to be empty and nobody at work on it.

mod check;
mod export;
mod import;

use std::path::{Path, PathBuf};

use keysherd_base::{Fault, FaultKind};

pub use self::check::{ChainState, Checked, Inspection};
use crate::engine::{Connection, Place};
use crate::lock::StoreLock;
use crate::migrations::{self, Schema};
use crate::postgres::{PostgresSettings, Server};
use crate::query::{Reader, Tx};
use crate::store::{MOVED, database_file, make_file, make_folder};

/// Where a store is, or will be.
#[derive(Clone, Debug)]
pub struct StorePlace {
    folder: PathBuf,
    database: Option<PostgresSettings>,
}

/// A store that is open for writing and that nobody else has, with what keeps it so.
struct Target {
    tx: Tx,
    _lock: Option<StoreLock>,
}

impl StorePlace {
    /// The store in a folder, or in a database; the folder of the latter is not looked at.
    pub const fn new(folder: PathBuf, database: Option<PostgresSettings>) -> Self {
        Self { folder, database }
    }

    /// Where it is, for people: no password.
    pub fn shown(&self) -> String {
        match &self.database {
            Some(database) => database.shown().to_owned(),
            None => self.folder.display().to_string(),
        }
    }

    /// What schema it has. Changes nothing.
    ///
    /// # Errors
    /// As [`StorePlace::inspect`].
    pub fn schema(&self) -> Result<Schema, Fault> {
        migrations::schema(&self.reader()?)
    }

    /// Brings the schema up to date; gives what it was before and what it is. Control planes of the
    /// release before may be at work on a database, unless a step must not be taken under them.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when there is no store; [`FaultKind::Unavailable`] when it cannot be
    /// reached, or others must end before.
    pub fn migrate(&self) -> Result<(Schema, Schema), Fault> {
        drop(self.reader()?);
        let target = self.writer(false)?;
        let before = migrations::apply(&target.tx)?;
        Ok((before, migrations::schema(&target.tx)?))
    }

    /// Opens it for looking it over.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when there is no store; [`FaultKind::Unavailable`] when it cannot be
    /// read.
    pub fn inspect(&self) -> Result<Inspection, Fault> {
        self.reader().map(Inspection::new)
    }

    /// A connection to a store that is there.
    pub(crate) fn reader(&self) -> Result<Reader, Fault> {
        let connection = match &self.database {
            None => open_file(&self.folder)?,
            Some(settings) => {
                Place::Server(Server::patient(settings.clone(), false)?).open_reader()?
            }
        };
        if connection.has_table("audit_heads")? {
            return Ok(Reader::new(connection));
        }
        Err(no_store(&self.shown()))
    }

    /// The one writer; with `alone`, of a database that nobody else works on. A store in a folder
    /// has one writer at most.
    fn writer(&self, alone: bool) -> Result<Target, Fault> {
        let (place, lock) = match &self.database {
            Some(settings) => (Place::Server(Server::patient(settings.clone(), alone)?), None),
            None => {
                make_folder(&self.folder)?;
                let lock = StoreLock::take(&self.folder)?;
                if self.folder.join(MOVED).exists() {
                    return Err(Fault::unavailable(format!(
                        "the store of {} is in a database: name it; or remove {} if it is not to \
                         be used any more",
                        self.folder.display(),
                        self.folder.join(MOVED).display()
                    )));
                }
                let file = database_file(&self.folder);
                make_file(&self.folder, &file)?;
                (Place::File(file), Some(lock))
            }
        };
        Ok(Target { tx: Tx::new(place.open_writer()?), _lock: lock })
    }
}

/// A connection for reading to the store in a folder.
fn open_file(folder: &Path) -> Result<Connection, Fault> {
    let file = database_file(folder);
    if !file.is_file() {
        return Err(no_store(&folder.display().to_string()));
    }
    Place::File(file).open_reader().map_err(|fault| {
        let text = format!("cannot read the store in {}", folder.display());
        Fault::unavailable(text).with_private(format_args!("{fault:?}"))
    })
}

fn no_store(place: &str) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no store in {place}"))
}
