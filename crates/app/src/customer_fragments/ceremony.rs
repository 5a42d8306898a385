//! Splitting a fragment into recovery shares: nobody leaves before they were read back and restored
//! the very fragment.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use clap::ArgMatches;
use keysherd_base::{Clock as _, SecretString, SystemClock};
use keysherd_crypto::hash::constant_time_eq;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::fragment_file::{FragmentEntry, fingerprint_text, id_text};
use keysherd_fragments::recovery_share::{RecoveryShare, combine, split as share_out};

use super::custody::{chosen, path};
use super::file;
use super::restore::{ask_share, read_share};
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Erases a terminal and what can be scrolled back to.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// `keysherd customer-fragment split`.
///
/// # Errors
/// [`Exit::Configuration`], [`Exit::FragmentFile`], [`Exit::FragmentWrong`] when the shares do not
/// restore the
/// fragment.
pub(super) fn split(flags: &ArgMatches) -> Result<(), Exit> {
    let count = |name| flags.get_one::<u8>(name).copied().unwrap_or_default();
    let (threshold, shares) = (count("threshold"), count("shares"));
    let path = path(flags);
    let held = file::read(&path)?;
    let entry = &held.entries[chosen(flags, &held)?];
    let made = share_out(entry, threshold, shares, &SystemRng)
        .map_err(|problem| Exit::Configuration(problem.to_string()))?;
    let fingerprint = entry.fragment().map(|made| fingerprint_text(&made.check_value())).ok();
    let texts: Vec<SecretString> =
        made.iter().map(|share| share.to_text(&entry.name, fingerprint.as_deref())).collect();
    drop(made);
    let id = id_text(&entry.id);
    if flags.get_flag("print") {
        let again = on_paper(&texts)?;
        demand_restored(entry, &again, threshold)?;
        note_verified(&path, entry)?;
        let text = format!("{shares} shares of {id} were made and read back; noted in its file\n");
        write_stdout(&text);
        return Ok(());
    }
    let Some(dir) = flags.get_one::<String>("out-dir") else {
        let text = "--out-dir DIR writes the shares into files; --print shows them one by one";
        return Err(Exit::Configuration(text.to_owned()));
    };
    let files = write_files(Path::new(dir), entry, &texts)?;
    let again: Result<Vec<_>, _> = files.iter().map(|file| read_share(Path::new(file))).collect();
    demand_restored(entry, &again?, threshold)?;
    write_stdout(&format!(
        "{shares} shares of {id} were written and read back; any {threshold} restore it:\n\
         \x20 {}\n\n\
         Give each to another person, remove the directory, and verify what they hold:\n\
         \x20 keysherd customer-fragment verify --file {} SHARE..\n",
        files.join("\n  "),
        path.display()
    ));
    Ok(())
}

/// Shows each share alone, then asks for all of them.
fn on_paper(texts: &[SecretString]) -> Result<Vec<RecoveryShare>, Exit> {
    let mut lines = std::io::stdin().lock().lines();
    let mut out = std::io::stdout().lock();
    let closed = |_| Exit::FragmentFile("standard output was closed; no share counts".to_owned());
    for text in texts {
        writeln!(out, "{CLEAR}{}\nWrite this down, then press Enter.", text.expose())
            .and_then(|()| out.flush())
            .map_err(closed)?;
        if lines.next().is_none() {
            return Err(Exit::FragmentFile("standard input ended; no share counts".to_owned()));
        }
    }
    write!(out, "{CLEAR}").map_err(closed)?;
    let mut shares = Vec::with_capacity(texts.len());
    for number in 1..=texts.len() {
        writeln!(out, "Share {number} of {}: type its rows as they are on the paper.", texts.len())
            .map_err(closed)?;
        shares.push(ask_share(&mut lines, &mut out)?);
    }
    Ok(shares)
}

fn write_files(
    dir: &Path,
    entry: &FragmentEntry,
    texts: &[SecretString],
) -> Result<Vec<String>, Exit> {
    let cannot = |at: &Path, error: std::io::Error| {
        Exit::FragmentFile(format!("{}: {error}; no share counts", at.display()))
    };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.map_err(|error| cannot(dir, error))?;
    if fs::read_dir(dir).map_err(|error| cannot(dir, error))?.next().is_some() {
        return Err(Exit::FragmentFile(format!(
            "{} is not empty; choose a new directory",
            dir.display()
        )));
    }
    let short = &id_text(&entry.id)[..11];
    let mut files = Vec::with_capacity(texts.len());
    for (number, text) in (1..).zip(texts) {
        let at = dir.join(format!("{short}-share-{number}-of-{}.txt", texts.len()));
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at).and_then(
                |mut file| {
                    file.write_all(text.expose().as_bytes())?;
                    file.sync_all()
                },
            );
        written.map_err(|error| cannot(&at, error))?;
        files.push(at.display().to_string());
    }
    Ok(files)
}

/// All together, and each run of just enough neighbors, around the end too.
fn demand_restored(
    entry: &FragmentEntry,
    shares: &[RecoveryShare],
    threshold: u8,
) -> Result<(), Exit> {
    let not =
        |why: String| Exit::FragmentWrong(format!("the shares do not restore the fragment: {why}"));
    let same = |held: &[RecoveryShare]| {
        let restored = combine(held).map_err(|problem| not(problem.to_string()))?;
        let equal = restored.id == entry.id
            && constant_time_eq(restored.value.expose(), entry.value.expose());
        if equal { Ok(()) } else { Err(not("they give another value".to_owned())) }
    };
    same(shares)?;
    for window in shares.windows(usize::from(threshold)) {
        same(window)?;
    }
    Ok(())
}

/// Notes in the file that recovery shares restored the fragment now.
pub(super) fn note_verified(path: &Path, entry: &FragmentEntry) -> Result<(), Exit> {
    file::change(path, |file| {
        let found = file.entries.iter_mut().find(|other| other.id == entry.id);
        let same =
            found.filter(|other| constant_time_eq(other.value.expose(), entry.value.expose()));
        let gone =
            || Exit::FragmentFile(format!("{} changed meanwhile; try again", path.display()));
        same.ok_or_else(gone)?.backup_verified_at = Some(SystemClock.now());
        Ok(())
    })
}
