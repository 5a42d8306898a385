//! Trying again, for failures before anything was sent.

use std::time::Duration;

use crate::error::ClientError;

/// Pauses before the second and the third try: a server that is being restarted is back, and a
/// person does not wait long for the news that there is none.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Runs `attempt` until it succeeds, fails for good, or was tried three times.
pub(crate) async fn with_retries<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, ClientError>,
    mut pause: impl AsyncFnMut(Duration),
) -> Result<T, ClientError> {
    for duration in PAUSES {
        match attempt().await {
            // Nothing was sent, so nothing can happen twice.
            Err(ClientError::Connect { .. }) => pause(duration).await,
            other => return other,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> ClientError {
        ClientError::Connect { url: String::new(), why: String::new() }
    }

    async fn outcome(results: Vec<Result<u8, ClientError>>) -> (Result<u8, ClientError>, usize) {
        let mut tries = 0;
        let mut results = results.into_iter();
        let result = with_retries(
            async || {
                tries += 1;
                results.next().expect("no more tries than results")
            },
            async |_| {},
        )
        .await;
        (result, tries)
    }

    #[tokio::test]
    async fn only_a_failed_connection_is_tried_again() {
        assert_eq!(outcome(vec![Err(refused()), Ok(1)]).await, (Ok(1), 2));
        assert_eq!(
            outcome(vec![Err(refused()), Err(refused()), Err(refused())]).await,
            (Err(refused()), 3)
        );
        let lost = ClientError::Interrupted { url: String::new(), why: String::new() };
        assert_eq!(outcome(vec![Err(lost.clone())]).await, (Err(lost), 1));
    }
}
