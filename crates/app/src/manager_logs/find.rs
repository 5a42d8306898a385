//! Where the logs are: a log directory, a manager's data directory, or that of a whole server.

use std::path::{Path, PathBuf};

use keysherd_base::Uid;
use keysherd_manager::log::{Event, LogReader};

use crate::exit::Exit;

/// The log of one manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// Its segment files.
    pub(crate) dir: PathBuf,
    /// The random id of the manager's store.
    pub(crate) manager: Uid,
    /// The manager's index.
    pub(crate) index: u8,
}

/// The logs in these directories, by index.
///
/// # Errors
/// [`Exit::Files`] for a directory without a log, [`Exit::NotIntact`] for a log whose first entry
/// does not say whose it is.
pub(crate) fn logs(given: &[PathBuf]) -> Result<Vec<Log>, Exit> {
    let mut logs = Vec::new();
    for dir in given {
        let found = dirs(dir);
        if found.is_empty() {
            let dir = dir.display();
            return Err(Exit::Files(format!("there is no fragment manager's log in {dir}")));
        }
        for dir in found {
            logs.push(open(dir)?);
        }
    }
    logs.sort_by_key(|log| (log.index, log.manager));
    logs.dedup_by_key(|log| log.manager);
    Ok(logs)
}

fn dirs(dir: &Path) -> Vec<PathBuf> {
    let places = ["", "log", "store/log"].map(|place| dir.join(place));
    if let Some(log) = places.into_iter().find(|place| holds_segments(place)) {
        return vec![log];
    }
    let managers = std::fs::read_dir(dir.join("managers")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = managers
        .map(|entry| entry.path().join("store/log"))
        .filter(|place| holds_segments(place))
        .collect();
    found.sort();
    found
}

fn holds_segments(dir: &Path) -> bool {
    let mut entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
}

fn open(dir: PathBuf) -> Result<Log, Exit> {
    let mut reader = LogReader::open(&dir).map_err(|damage| damaged(&dir, &damage))?;
    match reader.next() {
        Some(Ok((_, entry))) => match entry.event {
            Event::Segment { manager, index, .. } => Ok(Log { dir, manager, index }),
            _ => Err(damaged(&dir, &"its first entry does not say whose it is")),
        },
        Some(Err(damage)) => Err(damaged(&dir, &damage)),
        None => Err(damaged(&dir, &"it is empty")),
    }
}

fn damaged(dir: &Path, what: &dyn std::fmt::Display) -> Exit {
    Exit::NotIntact(format!("{}: {what}", dir.display()))
}
