//! Deleting keys whose time has come.

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{Fault, RequestId, Timestamp};
use keysherd_domain::item::{Item, ItemState};
use keysherd_store::{Tx, items as stored};

use crate::control::Control;
use crate::items::delete::delete_key;
use crate::items::item_param;
use crate::items::state::check_unused;

/// Keys looked at in one call.
const KEYS_PER_CALL: usize = 100;
/// Stands for the command in audit records: nobody asked for this now.
const COMMAND: &str = "scheduled-deletion";

impl Control {
    /// Deletes the keys whose scheduled deletion is due at `now`, at most 100; gives how many. To
    /// be called again and again by a task of the server; each deletion has its audit record.
    ///
    /// A key that cannot be deleted is left and logged; it does not keep the others from it.
    ///
    /// # Errors
    /// Only when the store cannot be read.
    pub async fn purge_due(&self, now: Timestamp) -> Result<usize, Fault> {
        let read = move |reader: &keysherd_store::Reader| {
            stored::due_for_deletion(reader, now, KEYS_PER_CALL)
        };
        let due = self.store.read_blocking(read).await?;
        let mut deleted = 0;
        for item in due {
            let path = item.path.clone();
            match self.purge(item, now).await {
                Ok(()) => deleted += 1,
                Err(fault) => tracing::warn!(%path, ?fault, "a scheduled deletion failed"),
            }
        }
        Ok(deleted)
    }

    async fn purge(&self, item: Item, now: Timestamp) -> Result<(), Fault> {
        let mut draft = Draft::new(
            item.account,
            RequestId::random(&*self.rng)?,
            COMMAND.into(),
            action::DELETE_ITEM,
            now,
        );
        draft.item_type = item.kind.type_name().into();
        draft.params = vec![item_param(&item.path), Param::public("version", "all")];
        let job = move |tx: &Tx| purge_item(tx, &item, now);
        self.change(draft, Ok(job)).await
    }
}

fn purge_item(tx: &Tx, item: &Item, now: Timestamp) -> Result<(), Fault> {
    let found = stored::by_id(tx, item.account, item.id)?;
    let is_due = |item: &Item| {
        item.state == ItemState::PendingDeletion && item.deletion_at.is_some_and(|at| at <= now)
    };
    let Some(item) = found.filter(is_due) else {
        return Err(Fault::conflict("its deletion was canceled, or it is gone"));
    };
    let Some(key) = &item.key else {
        stored::delete(tx, item.id)?;
        return Ok(());
    };
    check_unused(tx, &item, key, "deleted")?;
    delete_key(tx, &item, key)
}
