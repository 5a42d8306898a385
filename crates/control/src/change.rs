//! How answers and changes leave: only with their audit record.

use keysherd_audit::{Draft, Failure};
use keysherd_base::Fault;
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
    /// What it touches of control's memory is forgotten before the next request (`follow`).
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
}
