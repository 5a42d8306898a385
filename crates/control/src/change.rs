//! How answers and changes leave: only with their audit record.

use keysherd_audit::{Draft, Failure};
use keysherd_base::{AccountId, Fault, FaultKind};
use keysherd_store::Tx;

use crate::control::Control;

impl Control {
    /// Records a request that changes nothing with its outcome, and gives the outcome back.
    ///
    /// # Errors
    /// That of the outcome; the store's when it could not be recorded.
    pub(crate) async fn recorded<T>(
        &self,
        draft: Draft,
        outcome: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let failure = outcome.as_ref().err().map(Failure::from);
        self.store.record(vec![(draft, failure)]).await?;
        outcome
    }

    /// Commits what was planned with its record; a plan that was refused is recorded as refused.
    ///
    /// # Errors
    /// The refusal, or the fault of the job, which is then rolled back and recorded.
    pub(crate) async fn change<T, J>(
        &self,
        draft: Draft,
        plan: Result<J, Fault>,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        J: FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
    {
        match plan {
            Ok(job) => self.store.commit(vec![draft], job).await,
            Err(refused) => self.recorded(draft, Err(refused)).await,
        }
    }

    /// As [`Control::change`], for changes of identities: the account's directory is read again
    /// before this returns.
    ///
    /// Runs in a task of its own: when the caller goes away, the directory must not stay behind
    /// what was committed.
    ///
    /// # Errors
    /// As [`Control::change`].
    pub(crate) async fn change_identities<T, J>(
        &self,
        account: AccountId,
        draft: Draft,
        plan: Result<J, Fault>,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        J: FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
    {
        let job = match plan {
            Ok(job) => job,
            Err(refused) => return self.recorded(draft, Err(refused)).await,
        };
        let control = self.clone();
        let task = tokio::spawn(async move {
            let outcome = control.store.commit(vec![draft], job).await;
            if outcome.as_ref().map_or_else(may_have_changed, |_| true) {
                control.reload(account).await;
            }
            outcome
        });
        task.await.map_err(Fault::internal)?
    }

    async fn reload(&self, account: AccountId) {
        let control = self.clone();
        let reloaded = tokio::task::spawn_blocking(move || control.directory.reload(account)).await;
        // A directory that could not be read is forgotten, and read when it is next needed.
        if let Ok(Err(fault)) = reloaded {
            tracing::warn!(%account, ?fault, "the directory of an account could not be read");
        }
    }
}

/// Whether a commit that failed so may still have taken place. A refusal by the job has not.
pub(crate) fn may_have_changed(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Internal | FaultKind::Unavailable | FaultKind::StorageFull)
}
