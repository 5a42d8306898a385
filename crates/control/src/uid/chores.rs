//! What is due now and then: events of tokens that nobody rotates, and forgetting those long dead.

use keysherd_audit::{Draft, action};
use keysherd_base::{Fault, RequestId, Timestamp};
use keysherd_domain::uid::UidToken;
use keysherd_store::{Reader, Tx, uid_tokens};

use super::{fresh, keep, settings_of};
use crate::control::Control;

/// Tokens looked at in one call.
const TOKENS_PER_CALL: usize = 1_000;
/// How long a token that ended is still listed, in seconds: 30 days.
const LISTED_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Stands for the command in audit records: nobody asked for this now.
const COMMAND: &str = "uid-expiration-event";

impl Control {
    /// Raises the events of universal-identity tokens that are due at `now` and forgets tokens
    /// that ended long ago, at most 1,000 each; gives the number of events. To be called again and
    /// again by a task of the server.
    ///
    /// # Errors
    /// Only when the store cannot be read or written.
    pub async fn tend_uid_tokens(&self, now: Timestamp) -> Result<usize, Fault> {
        self.catch_up().await?;
        let then = now.plus_seconds(-LISTED_SECONDS);
        let forgotten = self
            .store
            .commit(Vec::new(), move |tx| uid_tokens::forget(tx, then, TOKENS_PER_CALL))
            .await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "universal-identity tokens that ended long ago");
        }
        let read = move |reader: &Reader| uid_tokens::due(reader, now, TOKENS_PER_CALL);
        let due = self.store.read_blocking(read).await?;
        let mut raised = 0;
        for token in due {
            raised += usize::from(self.raise(&token, now).await?);
        }
        Ok(raised)
    }

    /// Records the event that is due for a token, and when the next one is.
    async fn raise(&self, token: &UidToken, now: Timestamp) -> Result<bool, Fault> {
        let account = self.directory.account(token.account)?;
        let method = account.as_ref().and_then(|account| account.method_by_id(token.method));
        let Some(settings) = method.and_then(|method| settings_of(method).ok()) else {
            return Ok(false);
        };
        let request = RequestId::random(&*self.rng)?;
        let command = COMMAND.into();
        let mut draft =
            Draft::new(token.account, request, command, action::UID_TOKEN_EXPIRING, now)
                .with("uid-token-id", token.token_id.to_string())
                .with("expires", token.newest().expires.rfc3339());
        draft.unique_id = token.token_id.as_str().into();
        draft.access_id = method.map(|method| method.access_id.clone());
        let (id, newest) = (token.id, token.newest());
        let job = move |tx: &Tx| {
            let token = fresh(tx, id)?;
            if token.newest() != newest || token.revoked.is_some() {
                return Err(Fault::conflict("the token was rotated or revoked meanwhile"));
            }
            keep(tx, &token, &settings, now)
        };
        match self.store.commit(vec![draft], job).await {
            Ok(()) => Ok(true),
            Err(fault) => {
                tracing::info!(?fault, "an event of a universal-identity token was not raised");
                Ok(false)
            }
        }
    }
}
