//! Reading recovery shares, from files or as people type them; verifying them; restoring from them.

use std::io::{Lines, StdinLock, StdoutLock, Write as _};
use std::path::Path;

use clap::ArgMatches;
use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_fragments::fragment_file::{FragmentEntry, NAME_BYTES_MAX, fingerprint_text, id_text};
use keysherd_fragments::recovery_share::{
    RecoveryShare, Restored, ShareProblem, SharedKind, combine,
};
use zeroize::Zeroizing;

use super::ceremony::note_verified;
use super::custody::path;
use super::file;
use super::source::read_file;
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Rows of a share.
const ROWS: usize = 4;

/// `keysherd customer-fragment verify`.
///
/// # Errors
/// [`Exit::FragmentFile`]; [`Exit::FragmentWrong`] when the shares do not restore the file's
/// fragment.
pub(super) fn verify(flags: &ArgMatches) -> Result<(), Exit> {
    let path = path(flags);
    let held = file::read(&path)?;
    let shares = shares(flags)?;
    let restored = combine(&shares).map_err(|problem| Exit::FragmentWrong(problem.to_string()))?;
    let id = id_text(&restored.id);
    let entry = held.entry(&restored.id).ok_or_else(|| {
        Exit::FragmentWrong(format!("the shares are of {id}, which is not in {}", path.display()))
    })?;
    if !constant_time_eq(restored.value.expose(), entry.value.expose()) {
        let text = format!("the shares give another value than {} has for {id}", path.display());
        return Err(Exit::FragmentWrong(text));
    }
    note_verified(&path, entry)?;
    write_stdout(&format!("these {} shares restore {id}; noted in its file\n", shares.len()));
    Ok(())
}

/// `keysherd customer-fragment restore`.
///
/// # Errors
/// [`Exit::Configuration`], [`Exit::FragmentFile`]; [`Exit::FragmentWrong`] for shares that do not
/// fit, or give
/// another fragment than `--fingerprint` demands.
pub(super) fn restore(flags: &ArgMatches) -> Result<(), Exit> {
    let path = path(flags);
    let restored = combine(&shares(flags)?).map_err(|why| Exit::FragmentWrong(why.to_string()))?;
    let entry = new_entry(flags, restored)?;
    let id = id_text(&entry.id);
    let made = entry.fragment().map(|made| fingerprint_text(&made.check_value())).ok();
    let wanted = flags.get_one::<String>("fingerprint");
    if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != made.as_ref()) {
        return Err(Exit::FragmentWrong(format!(
            "the shares restore a fragment with the fingerprint {}, not {wanted}; nothing was \
             written",
            made.as_deref().unwrap_or("of a hardware key")
        )));
    }
    let added = file::change(&path, |file| match file.entry(&entry.id) {
        None => {
            file.entries.push(entry);
            Ok(true)
        }
        Some(other) if constant_time_eq(other.value.expose(), entry.value.expose()) => Ok(false),
        Some(_) => Err(Exit::FragmentFile(format!(
            "{} has another value under {id}; nothing was written: restore into another file",
            path.display()
        ))),
    })?;
    let what = if added { "was restored into" } else { "is already in" };
    write_stdout(&format!(
        "customer fragment {id} {what} {}\n  fingerprint  {}\n",
        path.display(),
        made.as_deref().unwrap_or("kept in hardware")
    ));
    Ok(())
}

fn new_entry(flags: &ArgMatches, restored: Restored) -> Result<FragmentEntry, Exit> {
    let text = |name| flags.get_one::<String>(name).cloned().unwrap_or_default();
    let (name, label) = (text("name"), text("hsm-key-label"));
    for (flag, text) in [("name", &name), ("hsm-key-label", &label)] {
        if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(Exit::Configuration(format!(
                "--{flag} must have at most {NAME_BYTES_MAX} bytes and no control characters"
            )));
        }
    }
    if (restored.kind == SharedKind::Standard) != label.is_empty() {
        return Err(Exit::Configuration(
            "--hsm-key-label must name the hardware key of a fragment that is kept in hardware, \
             and only of such a one"
                .to_owned(),
        ));
    }
    Ok(FragmentEntry {
        id: restored.id,
        name,
        description: String::new(),
        kind: restored.kind.with_label(label),
        value: restored.value,
        // The shares have just proved it.
        backup_verified_at: Some(SystemClock.now()),
    })
}

fn shares(flags: &ArgMatches) -> Result<Vec<RecoveryShare>, Exit> {
    let files: Vec<&String> = flags.get_many("share").into_iter().flatten().collect();
    if files.iter().all(|file| *file != "-") {
        return files.iter().map(|file| read_share(Path::new(file))).collect();
    }
    if files.len() > 1 {
        return Err(Exit::Configuration("- goes with no other share".to_owned()));
    }
    let (mut lines, mut out) = (std::io::stdin().lines(), std::io::stdout().lock());
    let mut shares: Vec<RecoveryShare> = Vec::new();
    while shares.first().is_none_or(|first| shares.len() < usize::from(first.threshold)) {
        say(&mut out, &format!("Share {}: type its rows.\n", shares.len() + 1))?;
        shares.push(ask_share(&mut lines, &mut out)?);
    }
    Ok(shares)
}

/// Reads a share from a file of its own.
pub(super) fn read_share(path: &Path) -> Result<RecoveryShare, Exit> {
    let bytes = read_file(path).map_err(Exit::FragmentFile)?;
    let wrong = |why: String| Exit::FragmentWrong(format!("{}: {why}", path.display()));
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| wrong("not text".to_owned()))?;
    RecoveryShare::parse(text).map_err(|problem| wrong(problem.to_string()))
}

/// Asks for the rows of one share until they are right.
pub(super) fn ask_share(
    lines: &mut Lines<StdinLock<'static>>,
    out: &mut StdoutLock<'_>,
) -> Result<RecoveryShare, Exit> {
    loop {
        let mut rows = Zeroizing::new(String::with_capacity(512));
        for number in 1..=ROWS {
            say(out, &format!("{number} "))?;
            let ended = || Exit::FragmentFile("standard input ended; nothing was done".to_owned());
            let line = lines.next().ok_or_else(ended)?;
            let line =
                line.map_err(|error| Exit::FragmentFile(format!("standard input: {error}")))?;
            let line = Zeroizing::new(line);
            // With the number or without it.
            let numbered = line.trim_start().starts_with(&format!("{number} "));
            rows.push_str(&if numbered { String::new() } else { format!("{number} ") });
            rows.push_str(&line);
            rows.push('\n');
        }
        match RecoveryShare::parse(&rows) {
            Ok(share) => return Ok(share),
            Err(problem @ (ShareProblem::Row(_) | ShareProblem::Checksum)) => {
                say(out, &format!("{problem}; once more:\n"))?;
            }
            Err(problem) => return Err(Exit::FragmentWrong(problem.to_string())),
        }
    }
}

fn say(out: &mut StdoutLock<'_>, text: &str) -> Result<(), Exit> {
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| Exit::FragmentFile(format!("standard output: {error}")))
}
