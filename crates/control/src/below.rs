//! Deleting everything of a kind below a folder, all or none: which members that is.

use std::sync::Arc;

use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::role::{Capability, RuleKind};

use crate::session::Principal;

impl Principal {
    /// Those of `all` below `folder` that the caller sees, each of which the caller may delete.
    /// What the caller does not see is left alone and not spoken of.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] unless the caller may delete each of them, [`Fault::not_found`] when
    /// there is none.
    pub(crate) fn deletable_below<'d, T: 'd>(
        &self,
        kind: RuleKind,
        folder: &FolderPath,
        all: impl Iterator<Item = &'d Arc<T>>,
        path: fn(&T) -> &ItemPath,
        now: Timestamp,
    ) -> Result<Vec<Arc<T>>, Fault> {
        let below = all.filter(|it| folder.contains(path(it)));
        let sees = |it: &&Arc<T>| self.may(kind, path(it).as_str(), Capability::List, now);
        let found: Vec<_> = below.filter(sees).map(Arc::clone).collect();
        if found.is_empty() {
            let nothing: Option<()> = None;
            self.require_found(kind, folder.as_str(), Capability::Delete, now, nothing)?;
        }
        for it in &found {
            self.require(kind, path(it).as_str(), Capability::Delete, now)?;
        }
        Ok(found)
    }
}
