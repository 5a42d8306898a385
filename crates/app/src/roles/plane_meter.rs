//! What is asked of control: which messages, how they end, how long they take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use keysherd_base::Fault;
use keysherd_http::{Durations, Exposition, Kind, float};
use keysherd_plane::{BoxFuture, Caller, Plane, PlaneHandle, Reply, Request};

/// First digits of statuses.
const CLASSES: usize = 6;
/// Messages that control holds until there is news: how long says nothing.
const HELD: [&str; 2] = ["ClusterSync", "ChangesWait"];

/// The counts, of all gateways together.
#[derive(Default)]
pub(crate) struct PlaneMeter {
    /// By the names of messages, of which there are as many as there are kinds.
    messages: Mutex<BTreeMap<&'static str, [u64; CLASSES]>>,
    took: Durations,
}

impl PlaneMeter {
    /// `plane`, counted.
    pub(crate) fn over(self: &Arc<Self>, plane: PlaneHandle) -> PlaneHandle {
        Arc::new(Metered { meter: self.clone(), plane })
    }

    fn count(&self, message: &'static str, status: u16, begun: Instant) {
        if !HELD.contains(&message) {
            self.took.record(begun.elapsed());
        }
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let classes = messages.entry(message).or_default();
        if let Some(count) = classes.get_mut(usize::from(status / 100)) {
            *count += 1;
        }
    }

    /// Writes everything.
    pub(crate) fn write(&self, to: &mut Exposition) {
        let help = "Messages of gateways by their names and by the first digit of the status.";
        let mut family = to.family("keysherd_control_requests_total", Kind::Counter, help);
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (message, classes) in messages {
            for (class, count) in classes.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let status = format!("{class}xx");
                family.sample(&[("message", message), ("status", &status)], float(count));
            }
        }
        let help = "How long they took, but for those that wait for news.";
        self.took.write(to, "keysherd_control_request_seconds", help);
    }
}

/// A plane whose messages are counted.
struct Metered {
    meter: Arc<PlaneMeter>,
    plane: PlaneHandle,
}

impl Plane for Metered {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            let (name, begun) = (request.name(), Instant::now());
            let outcome = self.plane.call(caller, request).await;
            let status = outcome.as_ref().map_or_else(|fault| fault.kind().http_status(), |_| 200);
            self.meter.count(name, status, begun);
            outcome
        })
    }
}
