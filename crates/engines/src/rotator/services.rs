//! What rotators of credentials have in common that a service on the internet makes or takes.

use std::time::{Duration, Instant};

use keysherd_base::Fault;
use keysherd_wire::Args;
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};

use super::{Credential, Rotator, RotatorKind, Stage, is_same_user};
use crate::{BoxFuture, Settings, TargetUse, Way};

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

/// A rotator of credentials at a service: new ones come beside the old ones, are tried out, and the
/// old ones go. What has the same name as in [`Rotator`] is the same.
pub(crate) trait AtService: Send + Sync {
    /// Who the service is, such as `Google`.
    const WHO: &'static str;
    /// Whether old ones can stay for a while.
    const IS_GRACEFUL: bool;

    fn kind(&self) -> &'static RotatorKind;

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault>;

    fn first(&self, given: &Args) -> Result<Credential, Fault>;

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault>;

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault>;

    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        is_same_user(self.of_target(target).ok().as_ref(), given, str::eq)
    }

    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault>;

    fn shown(&self, _: &Settings, credential: &Credential) -> Map<String, Value> {
        credential.members()
    }

    /// Those that only the service makes: see [`Rotator::obtained`].
    fn made(
        &self,
        _: &Stage<'_>,
        _old: &Credential,
    ) -> impl Future<Output = Result<Option<Credential>, Fault>> + Send {
        std::future::ready(Ok(None))
    }

    /// Has the service take the new ones beside the old ones, and waits until it does.
    fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Removes the old ones where they still are: see [`Rotator::retire`].
    fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Whether the service takes these.
    fn is_taken(
        &self,
        stage: &Stage<'_>,
        credential: &Credential,
    ) -> impl Future<Output = Result<bool, Fault>> + Send;
}

/// A rotator at a service as any other one: each step ends within the time of the way.
pub(crate) struct ServiceRotator<T>(pub(crate) T);

impl<T: AtService> Rotator for ServiceRotator<T> {
    fn kind(&self) -> &'static RotatorKind {
        self.0.kind()
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        self.0.check(settings, target)
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        self.0.first(given)
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        self.0.corrected(given, old)
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        self.0.of_target(target)
    }

    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        self.0.is_keepers(target, given)
    }

    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        self.0.candidate(stage, old)
    }

    fn shown(&self, settings: &Settings, credential: &Credential) -> Map<String, Value> {
        self.0.shown(settings, credential)
    }

    fn obtained<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Credential>, Fault>> {
        Box::pin(within(stage.way, T::WHO, self.0.made(stage, old)))
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        // Both in the time of one: nobody may go on here when somebody else does this work.
        Box::pin(within(stage.way, T::WHO, async move {
            self.0.added(stage, old, new).await?;
            self.0.removed(stage, new, old).await.map(|()| Vec::new())
        }))
    }

    fn is_graceful(&self) -> bool {
        T::IS_GRACEFUL
    }

    fn add<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            within(stage.way, T::WHO, self.0.added(stage, old, new)).await.map(|()| Vec::new())
        })
    }

    fn retire<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        current: &'a Credential,
        old: &'a Credential,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(within(stage.way, T::WHO, self.0.removed(stage, current, old)))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(within(stage.way, T::WHO, self.0.is_taken(stage, credential)))
    }
}
