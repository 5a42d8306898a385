//! What this gateway remembers of the managers' logs, and that it holds them to it.
//!
//! Every answer carries the position of the manager's log after its own entry. The gateway
//! remembers the newest one, has each manager prove from time to time that its log leads from what
//! was remembered to where it is, and keeps the proven position on disk. A log that was cut, put
//! back or written anew cannot prove it: that is named, and both signed positions are kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use keysherd_base::Uid;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::checkpoint::{Checkpoint, PROOF_ENTRIES_MAX};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::refusal::Refusal;

use crate::files;
use crate::managers::{Failure, Managers};

#[cfg(test)]
mod tests;

/// How often each manager has to prove its log.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Directory of the remembered positions in the gateway's own.
const DIRECTORY: &str = "checkpoints";
/// Directory of the evidence in the gateway's own.
const EVIDENCE: &str = "evidence";

/// What is wrong with a manager's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFinding {
    /// It is shorter than it was.
    Cut,
    /// It has other entries than it had.
    Rewritten,
    /// The same manager shows the log of another store.
    Replaced,
}

impl LogFinding {
    /// The word for people, programs and file names.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Cut => "log-cut",
            Self::Rewritten => "log-rewritten",
            Self::Replaced => "log-replaced",
        }
    }
}

/// A position, as its manager signed it.
#[derive(Clone, Debug)]
struct Position {
    at: Checkpoint,
    note: Vec<u8>,
}

/// What is remembered of one manager.
#[derive(Clone, Debug)]
struct Seen {
    identity: PublicKey,
    store: Uid,
    /// Up to here the log was proven.
    proven: Position,
    /// The newest one that was seen.
    newest: Position,
    finding: Option<LogFinding>,
}

/// What this gateway remembers of the managers' logs.
#[derive(Default)]
pub(crate) struct LogMemory {
    seen: Mutex<BTreeMap<ManagerIndex, Seen>>,
    home: OnceLock<PathBuf>,
}

impl LogMemory {
    /// Remembers in a directory of `home` from now on, and all that stands there.
    pub(crate) fn keep_in(&self, home: &Path, managers: &Managers) {
        let bundle = managers.bundle.load();
        for entry in &bundle.bundle().managers {
            let file = home.join(DIRECTORY).join(name(entry.index));
            let Ok(note) = std::fs::read(file) else { continue };
            // Of a former identity, or damaged: nothing to hold anybody to.
            if let Some((store, at)) = Checkpoint::open_signed(&note, &entry.key) {
                self.begin(entry.index, entry.key, store, Position { at, note });
            }
        }
        // The first and only time it is set.
        let _known = self.home.set(home.to_owned());
    }

    /// Takes in a position of an answer whose signature was verified.
    pub(crate) fn saw(&self, index: ManagerIndex, identity: &PublicKey, note: &[u8]) {
        let Some((store, at)) = Checkpoint::read_signed(note) else { return };
        let mut seen = self.lock();
        let Some(known) = seen.get_mut(&index) else {
            drop(seen);
            return self.begin(index, *identity, store, Position { at, note: note.to_vec() });
        };
        if known.identity != *identity {
            // The owner put another manager in its place.
            drop(seen);
            return self.begin(index, *identity, store, Position { at, note: note.to_vec() });
        }
        let finding = if known.store != store {
            Some(LogFinding::Replaced)
        } else if known.newest.at.size == at.size && known.newest.at.head != at.head {
            Some(LogFinding::Rewritten)
        } else {
            None
        };
        if let Some(finding) = finding {
            let known = known.clone();
            drop(seen);
            return self.found(index, &known, finding, note);
        }
        if at.size > known.newest.at.size {
            known.newest = Position { at, note: note.to_vec() };
        }
    }

    /// What was found out about each manager's log.
    pub(crate) fn findings(&self) -> Vec<(ManagerIndex, LogFinding)> {
        let seen = self.lock();
        seen.iter().filter_map(|(index, seen)| Some((*index, seen.finding?))).collect()
    }

    fn begin(&self, index: ManagerIndex, identity: PublicKey, store: Uid, at: Position) {
        let newest = at.clone();
        let seen = Seen { identity, store, proven: at, newest, finding: None };
        self.lock().insert(index, seen);
    }

    fn get(&self, index: ManagerIndex) -> Option<Seen> {
        self.lock().get(&index).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ManagerIndex, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, index: ManagerIndex, known: &Seen, finding: LogFinding, shown: &[u8]) {
        let mut seen = self.lock();
        let Some(seen) = seen.get_mut(&index) else { return };
        if seen.finding.replace(finding).is_some() {
            return;
        }
        let what = finding.text();
        tracing::error!(
            manager = %index, what,
            "a fragment manager's log is not what it was; the owner must look at it"
        );
        let Some(home) = self.home.get() else { return };
        let text = format!(
            "what: {what}\nmanager: {index}\n\nremembered:\n{}\nshown:\n{}",
            String::from_utf8_lossy(&known.newest.note),
            String::from_utf8_lossy(shown),
        );
        let dir = home.join(EVIDENCE);
        let name = format!("{what}-{index}-{}.txt", known.newest.at.size);
        let kept = files::make_dir(&dir).and_then(|()| files::write(&dir, &name, text.as_bytes()));
        if let Err(error) = kept {
            tracing::warn!(%error, "evidence against a fragment manager was not written");
        }
    }

    fn proven(&self, index: ManagerIndex, known: &Seen) {
        if let Some(seen) = self.lock().get_mut(&index)
            && seen.store == known.store
        {
            seen.proven = known.newest.clone();
        }
        let Some(home) = self.home.get() else { return };
        let dir = home.join(DIRECTORY);
        let note = &known.newest.note;
        let kept = files::make_dir(&dir).and_then(|()| files::write(&dir, &name(index), note));
        if let Err(error) = kept {
            tracing::warn!(%error, "the position of a fragment manager's log was not kept");
        }
    }
}

fn name(index: ManagerIndex) -> String {
    format!("manager-{index}.note")
}

/// Has the managers prove their logs for as long as there is somebody who wants to know.
pub(crate) async fn watch(managers: Weak<Managers>) {
    let mut turns = tokio::time::interval(CHECK_INTERVAL);
    loop {
        turns.tick().await;
        let Some(managers) = managers.upgrade() else { return };
        for index in managers.indexes() {
            check(&managers, index).await;
        }
    }
}

/// Has one manager prove that its log leads from what was proven before to where it is.
pub(crate) async fn check(managers: &Arc<Managers>, index: ManagerIndex) {
    let logs = &managers.logs;
    let before = logs.get(index);
    let Ok(ManagerAnswer::Status(status)) = managers.ask(index, &ManagerRequest::Status).await
    else {
        return;
    };
    let bundle = managers.bundle.load_full();
    let Some(entry) = bundle.bundle().manager(index) else { return };
    let Some((store, at)) = Checkpoint::open_signed(&status.checkpoint, &entry.key) else { return };
    logs.saw(index, &entry.key, &status.checkpoint);
    if let Some(before) = before
        && before.identity == entry.key
        && before.store == store
        && at.size < before.newest.at.size
    {
        return logs.found(index, &before, LogFinding::Cut, &status.checkpoint);
    }
    let Some(known) = logs.get(index).filter(|known| known.finding.is_none()) else { return };
    match walk(managers, index, &known).await {
        Ok(reached) if reached == known.newest.at => logs.proven(index, &known),
        Ok(_) => logs.found(index, &known, LogFinding::Rewritten, &status.checkpoint),
        Err(Failure::Refused(Refusal::NotInLog)) if at.size >= known.newest.at.size => {
            tracing::info!(manager = %index, "its log was archived beyond what was proven");
            logs.proven(index, &known);
        }
        // It does not answer now; the next turn asks again.
        Err(_) => {}
    }
}

/// Where the manager's log leads from what was proven.
async fn walk(
    managers: &Arc<Managers>,
    index: ManagerIndex,
    known: &Seen,
) -> Result<Checkpoint, Failure> {
    let (mut at, end) = (known.proven.at, known.newest.at.size);
    while at.size < end {
        let to = end.min(at.size.saturating_add(PROOF_ENTRIES_MAX as u64));
        let request = ManagerRequest::LogProof { from: at.size, to };
        let ManagerAnswer::LogProof(hashes) = managers.ask(index, &request).await? else {
            return Err(Failure::NoAnswer);
        };
        let (hashes, _) = hashes.as_chunks::<32>();
        let next = hashes.iter().fold(at, |at, hash| at.after_hash(hash));
        if next.size != to {
            return Err(Failure::NoAnswer);
        }
        at = next;
    }
    Ok(at)
}
