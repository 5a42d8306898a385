//! Running one call to its end: through panics, and without its client if need be.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use keysherd_base::{Fault, FaultKind, RequestId};
use keysherd_wire::{Answer, Args, Body, Command, Page, PageAnswer, PageRequest};
use tokio::runtime::Handle;

use crate::host::{BoxFuture, Host, RequestInfo};
use crate::rates::Counted;
use crate::running::{Running, Share};

/// What a panic said. For the log only.
pub(crate) struct Panicked(Box<str>);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        Self(text.into())
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

/// A future whose panics are results.
struct Caught<'a, T>(BoxFuture<'a, T>);

impl<T> Future for Caught<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What a panic leaves behind is dropped without being looked at again.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(Panicked::new(&*payload))),
        }
    }
}

/// A future that goes on as a task of its own when it is dropped unfinished.
///
/// Cheaper than spawning each call and awaiting the task: nothing is scheduled unless the client
/// goes away.
pub(crate) struct Unstoppable<'a, T: Send + 'static> {
    future: Option<Caught<'static, T>>,
    running: &'a Running,
    share: Option<Share>,
}

impl<'a, T: Send + 'static> Unstoppable<'a, T> {
    /// Runs `future`, which `share` counts, or leaves it to `running`.
    pub(crate) fn new(future: BoxFuture<'static, T>, running: &'a Running, share: Share) -> Self {
        Self { future: Some(Caught(future)), running, share: Some(share) }
    }
}

impl<T: Send + 'static> Future for Unstoppable<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.future.as_mut() else {
            // Finished before; the contract of futures forbids this poll.
            return Poll::Pending;
        };
        let polled = Pin::new(future).poll(cx);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Unstoppable<'_, T> {
    fn drop(&mut self) {
        // Without a runtime the process is on its way out, and there is nowhere to go on.
        if let (Some(future), Ok(runtime)) = (self.future.take(), Handle::try_current()) {
            self.running.adopt(self.share.take(), future, &runtime);
        }
    }
}

/// Opens the call, runs the command, has the outcome recorded; the answer is only given out when
/// the record exists.
pub(crate) async fn run<H: Host>(
    host: Arc<H>,
    command: &'static Command<H::Call>,
    info: RequestInfo,
    args: Args,
    mut counted: Option<Counted>,
) -> Result<Answer, Fault> {
    let counting = host.clone();
    let work = async move |call: H::Call| {
        check(command, &args)?;
        if let Some(counted) = &mut counted {
            counted.identify(&*counting, &call).await?;
        }
        let outcome = perform(|| (command.run)(call.clone(), args)).await;
        // Here, because a client that leaves at once pays as well. A command that needs a token
        // succeeds for good ones only.
        let good = outcome.is_ok() || counting.accepted(&call);
        if let Some(counted) = counted.filter(|_| good) {
            counted.charge();
        }
        outcome
    };
    recorded(host, info, command.spec.name, work).await
}

/// The same for a page.
pub(crate) async fn show<H: Host>(
    host: Arc<H>,
    page: &'static Page<H::Call>,
    info: RequestInfo,
    request: PageRequest,
) -> Result<PageAnswer, Fault> {
    let work = async move |call| perform(|| (page.run)(call, request)).await;
    recorded(host, info, page.path, work).await
}

async fn recorded<H: Host, T, F: Future<Output = Result<T, Fault>>>(
    host: Arc<H>,
    info: RequestInfo,
    name: &str,
    work: impl FnOnce(H::Call) -> F,
) -> Result<T, Fault> {
    let request = info.request;
    let call = host.open(info);
    let outcome = work(call.clone()).await;
    if let Err(fault) = &outcome {
        log(request, name, fault);
    }
    let recorded = host.finish(&call, outcome.as_ref().map(|_| ())).await;
    match recorded {
        Ok(()) => outcome,
        Err(unrecorded) => {
            log(request, name, &unrecorded);
            Err(Fault::unavailable(
                "the call could not be recorded, so its answer is withheld; try again",
            ))
        }
    }
}

async fn perform<T>(
    begin: impl FnOnce() -> BoxFuture<'static, Result<T, Fault>>,
) -> Result<T, Fault> {
    let outcome = match catch_unwind(AssertUnwindSafe(begin)) {
        Ok(running) => Caught(running).await,
        Err(payload) => Err(Panicked::new(&*payload)),
    };
    outcome.unwrap_or_else(|panicked| Err(Fault::internal(panicked)))
}

fn check<C>(command: &Command<C>, args: &Args) -> Result<(), Fault> {
    let spec = &command.spec;
    if spec.body == Body::Object {
        return args.check_required(spec).and_then(|()| args.check_types(spec));
    }
    for (index, row) in args.rows().iter().enumerate() {
        row.check_required(spec)
            .and_then(|()| row.check_types(spec))
            .map_err(|fault| Fault::bad_request(format!("element {index}: {}", fault.public())))?;
    }
    Ok(())
}

/// Writes the private half of `fault` to the log, the only place where it goes.
pub(crate) fn log(request: RequestId, command: &str, fault: &Fault) {
    let (code, private) = (fault.code(), fault.private().unwrap_or_default());
    match fault.kind() {
        FaultKind::Internal => {
            tracing::error!(%request, command, code, private, "request failed");
        }
        FaultKind::Unavailable | FaultKind::StorageFull => {
            tracing::warn!(%request, command, code, private, "request failed");
        }
        _ if fault.private().is_some() => {
            tracing::info!(%request, command, code, private, "request refused");
        }
        _ => tracing::debug!(%request, command, code, "request refused"),
    }
}
