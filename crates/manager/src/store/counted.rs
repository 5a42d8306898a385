//! How many key versions there are: counted once, when the store is opened.

use keysherd_base::Fault;
use redb::{Database, ReadableDatabase};

use super::{Kind, SEALED, broken};

impl Kind {
    /// What one of it counts among the key versions: an erased one keeps its record.
    pub(super) const fn counts(self) -> i64 {
        match self {
            Self::Key => 1,
            Self::Receipt => -1,
            _ => 0,
        }
    }
}

/// The key versions in a store, erased ones not included.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn keys(db: &Database) -> Result<u64, Fault> {
    let transaction = db.begin_read().map_err(broken)?;
    let table = transaction.open_table(SEALED).map_err(broken)?;
    let count = |kind: Kind| -> Result<u64, Fault> {
        let (first, end) = ([kind as u8], [kind as u8 + 1]);
        let mut count = 0;
        for entry in table.range(first.as_slice()..end.as_slice()).map_err(broken)? {
            entry.map_err(broken)?;
            count += 1;
        }
        Ok(count)
    };
    Ok(count(Kind::Key)?.saturating_sub(count(Kind::Receipt)?))
}
