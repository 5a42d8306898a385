//! What rotators of credentials have in common that a service on the internet makes or takes.

use std::time::{Duration, Instant};

use keysherd_base::Fault;
use tokio::time::{sleep, timeout};

use super::{Credential, Rotator, Stage};
use crate::Way;

/// How long is waited until new credentials are tried again: services take a while to know them
/// everywhere.
const PAUSE: Duration = Duration::from_millis(500);

/// Does something within the time of the way; `who` it is done with is named where that is over.
///
/// # Errors
/// [`Fault::unavailable`] when the time is over; else its own.
pub(crate) async fn within<T>(
    way: &Way,
    who: &str,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = || Fault::unavailable(format!("{who} does not answer in time; try again later"));
    timeout(way.timeout, doing).await.map_err(|_| late())?
}

/// Tries credentials out that a service has made, until it takes them, or for most of the time of
/// the way; gives whether it does.
///
/// # Errors
/// Those of trying them out.
pub(crate) async fn comes_in(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    new: &Credential,
) -> Result<bool, Fault> {
    let begun = Instant::now();
    // The rest is for saying what came of it.
    let most = stage.way.timeout * 3 / 5;
    while !rotator.signs_in(stage, new).await? {
        if begun.elapsed() + PAUSE > most {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
    Ok(true)
}
