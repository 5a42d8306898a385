//! `keysherd fragments log` and `keysherd fragments reconcile`: what fragment managers wrote down,
//! read by whoever has their directories. Nothing is changed, and managers may be running.

mod explained;
mod find;
mod reconcile;
mod show;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use clap::ArgMatches;
use keysherd_base::Timestamp;
use keysherd_crypto::sign::PublicKey;
use keysherd_manager::log::{Checkpoint, Comparison, DeriveEvent, Event, LogReader, compare};
use serde_json::json;

use self::find::Log;
use crate::config::manager_logs::{LogConfig, LogErrand, Selection};
use crate::exit::Exit;

/// Longest file with a signed position.
const NOTE_BYTES_MAX: u64 = 4_096;

/// Runs the subcommand `name` of `keysherd fragments`.
pub(crate) fn run(name: &str, flags: &ArgMatches) -> Result<(), Exit> {
    let config = LogConfig::load(name, flags)?;
    let logs = find::logs(&config.logs)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = match &config.errand {
        LogErrand::List(selection) => list(&config, &logs, selection, &mut out),
        LogErrand::Derived(selection) => derived(&config, &logs, selection, &mut out),
        LogErrand::Verify { checkpoints } => verify(&config, &logs, checkpoints, &mut out),
        LogErrand::Reconcile { audit, account } => {
            reconcile::run(&config, &logs, audit, *account, &mut out)
        }
    };
    // Whoever closed the pipe has seen enough.
    let _closed = out.flush();
    outcome
}

/// Calls `visit` with each entry of a log.
fn each(
    log: &Log,
    mut visit: impl FnMut(&Checkpoint, Timestamp, Event) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let damaged = |damage| Exit::NotIntact(format!("{}: {damage}", log.dir.display()));
    for entry in LogReader::open(&log.dir).map_err(damaged)? {
        let (after, entry) = entry.map_err(damaged)?;
        visit(&after, entry.at, entry.event)?;
    }
    Ok(())
}

fn list(
    config: &LogConfig,
    logs: &[Log],
    selection: &Selection,
    out: &mut impl Write,
) -> Result<(), Exit> {
    for log in logs {
        each(log, |after, at, event| {
            if selection.takes(at, &event) {
                let _closed = writeln!(out, "{}", show::entry(config.json, log, after, at, &event));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Everything that was derived, once, with the first and the last time and the managers that gave
/// their part.
fn derived(
    config: &LogConfig,
    logs: &[Log],
    selection: &Selection,
    out: &mut impl Write,
) -> Result<(), Exit> {
    let mut all: BTreeMap<show::DerivedKey, show::Obtained> = BTreeMap::new();
    for log in logs {
        each(log, |_, at, event| {
            if let Event::Derive(derive) = &event
                && selection.takes(at, &event)
            {
                for key in show::DerivedKey::all_of(derive) {
                    if selection.item.is_none_or(|item| item == key.item_id) {
                        all.entry(key).or_default().add(at, log.index, derive.gateway);
                    }
                }
            }
            Ok(())
        })?;
    }
    for (key, obtained) in &all {
        let _closed = writeln!(out, "{}", show::derived(config.json, key, obtained));
    }
    Ok(())
}

fn verify(
    config: &LogConfig,
    logs: &[Log],
    checkpoints: &[std::path::PathBuf],
    out: &mut impl Write,
) -> Result<(), Exit> {
    let mut findings = 0;
    for log in logs {
        let mut identities = Vec::new();
        let mut end = Checkpoint::default();
        let read = each(log, |after, _, event| {
            end = *after;
            if let Event::Opened { identity, .. } = event {
                identities.push(PublicKey(identity));
            }
            Ok(())
        });
        let mut finding = read.err().map(|exit| exit.to_string());
        for file in checkpoints {
            if finding.is_none() {
                finding = remembered(log, file, &identities)?;
            }
        }
        findings += usize::from(finding.is_some());
        let _closed = writeln!(out, "{}", show::verified(config.json, log, &end, &finding));
    }
    if findings == 0 {
        return Ok(());
    }
    Err(Exit::NotIntact(format!("{findings} of {} logs are not intact", logs.len())))
}

/// What is wrong with a log that does not lead through a position which was remembered.
fn remembered(log: &Log, file: &Path, identities: &[PublicKey]) -> Result<Option<String>, Exit> {
    let shown = file.display();
    let unusable = |what: &dyn std::fmt::Display| Exit::Configuration(format!("{shown}: {what}"));
    let length = file.metadata().map_err(|error| unusable(&error))?.len();
    if length > NOTE_BYTES_MAX {
        return Err(unusable(&"too long for a signed position"));
    }
    let note = std::fs::read(file).map_err(|error| unusable(&error))?;
    let (manager, at) = Checkpoint::read_signed(&note)
        .ok_or_else(|| unusable(&"not a signed position of a fragment manager's log"))?;
    if manager != log.manager {
        return Ok(None);
    }
    let genuine = identities.iter().any(|key| Checkpoint::open_signed(&note, key).is_some());
    if !genuine {
        return Ok(Some(format!("{shown} is not signed by a key this log names")));
    }
    let size = at.size;
    Ok(match compare(&log.dir, &at).map_err(|damage| Exit::NotIntact(damage.to_string()))? {
        Comparison::Contained | Comparison::Archived => None,
        Comparison::Truncated { size: found } => {
            Some(format!("it was cut: {found} entries, and {shown} remembers {size}"))
        }
        Comparison::Forked => {
            Some(format!("it was written anew: entry {size} is not the one in {shown}"))
        }
    })
}

impl Selection {
    fn takes(&self, at: Timestamp, event: &Event) -> bool {
        if self.since.is_some_and(|since| at < since) || self.until.is_some_and(|end| at >= end) {
            return false;
        }
        let about = (self.gateway.is_some(), self.account.is_some(), self.item.is_some());
        match event {
            Event::Derive(derive) => self.takes_derivation(derive),
            Event::Generation(generation) => {
                self.item.is_none()
                    && self.gateway.is_none_or(|gateway| gateway == generation.gateway)
                    && self.account.is_none_or(|account| account == generation.account)
            }
            // The rest is about no gateway, account or item in particular.
            _ => about == (false, false, false),
        }
    }

    fn takes_derivation(&self, derive: &DeriveEvent) -> bool {
        self.gateway.is_none_or(|gateway| gateway == derive.gateway)
            && self.account.is_none_or(|account| account == derive.account)
            && self.item.is_none_or(|id| derive.items.iter().any(|item| item.item_id == id))
    }
}

/// The last line of a command in JSON.
fn summary_line(fields: serde_json::Value) -> String {
    json!({ "summary": fields }).to_string()
}
