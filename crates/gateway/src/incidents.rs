//! What happens when fragment managers give wrong values: counters, the log, an audit record, and
//! a file with what they signed.
//!
//! Evidence is for the owner. A file has the request and the signed answer; the outputs, which are
//! partials of keys, are in it only where they cannot add up to a key that protects something: of
//! fewer than t managers, or of a write that was refused.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::{ClockHandle, Timestamp};
use keysherd_fragments::gateway_side::VerifiedAnswer;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_plane::alerts::{AlertKind, ManagerAlert};
use keysherd_plane::{Caller, PlaneHandle};

use crate::files;

#[cfg(test)]
mod tests;

/// Evidence files kept. The first ones say the most, so later ones are not written.
const EVIDENCE_MAX: usize = 200;
/// Seconds in which the same incident is reported once.
const QUIET_SECONDS: i64 = 60;
/// For how long the number of files is taken to be as it was, in seconds.
const COUNTED_SECONDS: i64 = 10;
/// Directory of the evidence in the gateway's own.
const DIRECTORY: &str = "evidence";

/// Managers that were caught, or suspected, in one round of requests.
pub(crate) struct Incident {
    /// What happened.
    pub(crate) kind: AlertKind,
    /// Who did it, or one of whom did.
    pub(crate) managers: ManagerSet,
    /// Their signed answers.
    pub(crate) answers: Vec<VerifiedAnswer>,
    /// What they were asked.
    pub(crate) requests: Vec<(ManagerIndex, Vec<u8>)>,
    /// Whether the outputs may be written down.
    pub(crate) with_outputs: bool,
}

/// Where incidents go.
pub(crate) struct Incidents {
    dir: Option<PathBuf>,
    plane: PlaneHandle,
    clock: ClockHandle,
    reported: Mutex<HashMap<(AlertKind, ManagerSet), Timestamp>>,
    counted: Counted,
}

/// How many evidence files there are, as was counted last. Whoever asks for it must not wait for a
/// disk: everybody may ask, and a disk can hang.
#[derive(Default)]
struct Counted {
    files: AtomicUsize,
    /// When, in seconds.
    at: AtomicI64,
    /// Whether somebody is counting.
    now: AtomicBool,
}

impl Incidents {
    /// Evidence goes to a directory in `home`; nowhere when there is none.
    pub(crate) fn new(
        home: Option<&std::path::Path>,
        plane: PlaneHandle,
        clock: ClockHandle,
    ) -> Self {
        let dir = home.map(|home| home.join(DIRECTORY));
        let counted = Counted::default();
        counted.files.store(dir.as_deref().map_or(0, files::count), Ordering::Relaxed);
        counted.at.store(clock.now().seconds(), Ordering::Relaxed);
        Self { dir, plane, clock, reported: Mutex::default(), counted }
    }

    /// Reports `incident`, found while serving `caller`, unless the same was reported just now.
    /// The request goes on whether that works or not.
    pub(crate) fn report(self: &Arc<Self>, caller: &Caller, incident: Incident) {
        let managers = names(incident.managers);
        tracing::error!(kind = incident.kind.text(), managers, "fragment managers misbehave");
        if !self.is_news(&incident) {
            return;
        }
        let (this, caller) = (self.clone(), caller.clone());
        tokio::spawn(async move {
            let managers = incident.managers.iter().map(ManagerIndex::get).collect();
            let alert = ManagerAlert { kind: incident.kind, managers };
            if let Err(fault) = this.plane.ask(caller, alert).await {
                tracing::warn!(%fault, "an alert about fragment managers was not recorded");
            }
            let kept = tokio::task::spawn_blocking(move || this.keep(&incident)).await;
            if let Ok(Err(error)) = kept {
                tracing::warn!(%error, "evidence against fragment managers was not written");
            }
        });
    }

    /// Number of evidence files, as it was a few seconds ago: people move them away.
    pub(crate) fn evidence(self: &Arc<Self>) -> usize {
        let age = self.clock.now().seconds() - self.counted.at.load(Ordering::Relaxed);
        if age.abs() >= COUNTED_SECONDS
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !self.counted.now.swap(true, Ordering::AcqRel)
        {
            let this = self.clone();
            runtime.spawn_blocking(move || {
                this.count();
                this.counted.now.store(false, Ordering::Release);
            });
        }
        self.counted.files.load(Ordering::Relaxed)
    }

    fn count(&self) -> usize {
        let files = self.dir.as_deref().map_or(0, files::count);
        self.counted.files.store(files, Ordering::Relaxed);
        self.counted.at.store(self.clock.now().seconds(), Ordering::Relaxed);
        files
    }

    fn is_news(&self, incident: &Incident) -> bool {
        let now = self.clock.now();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.retain(|_, at| now < at.plus_seconds(QUIET_SECONDS));
        reported.insert((incident.kind, incident.managers), now).is_none()
    }

    fn keep(&self, incident: &Incident) -> std::io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        files::make_dir(dir)?;
        let now = self.clock.now();
        for answer in &incident.answers {
            if self.count() >= EVIDENCE_MAX {
                tracing::warn!(dir = %dir.display(), "no more evidence is kept: move it away");
                return Ok(());
            }
            let name = format!("{}-{}-{}.txt", now.0, incident.kind.text(), answer.manager());
            files::write(dir, &name, text(incident, answer, now).as_bytes())?;
        }
        self.count();
        Ok(())
    }
}

/// The evidence against one manager, in lines of `name: value`.
fn text(incident: &Incident, answer: &VerifiedAnswer, now: Timestamp) -> String {
    let manager = answer.manager();
    let request = incident.requests.iter().find(|(asked, _)| *asked == manager);
    let signed = answer.answer();
    let outputs = if incident.with_outputs { signed.outputs.expose().as_slice() } else { &[] };
    let mut text = format!("what: {}\ntime: {now}\nmanager: {manager}\n", incident.kind.text());
    let values: [(&str, &[u8]); 4] = [
        ("request", request.map_or(&[], |(_, bytes)| bytes)),
        ("answer", &signed.body),
        ("signature", signed.signature.as_bytes()),
        ("outputs", outputs),
    ];
    for (name, bytes) in values {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{name}: {}", hex::encode(bytes));
    }
    text
}

/// The indexes of managers, for people.
pub(crate) fn names(managers: ManagerSet) -> String {
    managers.iter().map(|manager| manager.to_string()).collect::<Vec<_>>().join(", ")
}
