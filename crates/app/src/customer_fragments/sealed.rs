//! A copy of a file of fragments under a passphrase: the simple backup, where recovery shares are
//! too much.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use keysherd_base::SecretString;
use keysherd_crypto::hash::constant_time_eq;
use keysherd_crypto::passphrase;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::fragment_file::{FragmentFile, id_text};

use super::custody::path;
use super::file;
use super::source::read_file;
use crate::exit::Exit;
use crate::roles::process::write_stdout;
use crate::secret_source::SecretSource;

/// What the passphrase is for: a file that was sealed for another use does not open here.
const PURPOSE: &str = "customer-fragments";
/// The variable with the passphrase.
const VARIABLE: &str = "KEYSHERD_FRAGMENTS_PASSPHRASE";
/// The systemd credential with the passphrase.
const CREDENTIAL: &str = "customer-fragments-passphrase";

/// `keysherd customer-fragment seal`.
///
/// # Errors
/// [`Exit::Configuration`], [`Exit::FragmentFile`]; [`Exit::FragmentWrong`] when the copy does not
/// open again.
pub(super) fn seal(flags: &ArgMatches) -> Result<(), Exit> {
    let text = file::read(&path(flags))?.to_json();
    let out = PathBuf::from(flags.get_one::<String>("out").cloned().unwrap_or_default());
    let passphrase = secret(flags, true)?;
    let sealed = passphrase::seal(&text, &passphrase, PURPOSE, &SystemRng)
        .map_err(|why| Exit::FragmentWrong(why.to_string()))?;
    let cannot = |error: std::io::Error| Exit::FragmentFile(format!("{}: {error}", out.display()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&out).map_err(cannot)?;
    file.write_all(&sealed).and_then(|()| file.sync_all()).map_err(cannot)?;
    let again = unsealed(&out, &passphrase)?;
    if !constant_time_eq(again.to_json().expose(), text.expose()) {
        let text = format!("{} does not open to what was sealed", out.display());
        return Err(Exit::FragmentWrong(text));
    }
    write_stdout(&format!(
        "{} customer fragments were sealed into {} and opened again\n",
        again.entries.len(),
        out.display()
    ));
    Ok(())
}

/// `keysherd customer-fragment unseal`.
///
/// # Errors
/// [`Exit::Configuration`], [`Exit::FragmentFile`]; [`Exit::FragmentWrong`] for a wrong passphrase
/// or a damaged copy.
pub(super) fn unseal(flags: &ArgMatches) -> Result<(), Exit> {
    let sealed = PathBuf::from(flags.get_one::<String>("sealed").cloned().unwrap_or_default());
    let copy = unsealed(&sealed, &secret(flags, false)?)?;
    let path = path(flags);
    let added = file::change(&path, |file| {
        let mut added = 0;
        for entry in copy.entries {
            match file.entry(&entry.id) {
                None => {
                    file.entries.push(entry);
                    added += 1;
                }
                Some(other) if constant_time_eq(other.value.expose(), entry.value.expose()) => {}
                Some(_) => {
                    let text = format!(
                        "{} has another value under {}; nothing was written: restore into another \
                         file",
                        path.display(),
                        id_text(&entry.id)
                    );
                    return Err(Exit::FragmentFile(text));
                }
            }
        }
        Ok(added)
    })?;
    write_stdout(&format!("{added} customer fragments were added to {}\n", path.display()));
    Ok(())
}

fn secret(flags: &ArgMatches, twice: bool) -> Result<SecretString, Exit> {
    let env = |name: &str| std::env::var(name).ok();
    let source = SecretSource::of("passphrase", CREDENTIAL, VARIABLE, flags, &env);
    source.read("Passphrase of the customer fragments", twice)
}

fn unsealed(path: &Path, passphrase: &SecretString) -> Result<FragmentFile, Exit> {
    let wrong = |why: String| Exit::FragmentWrong(format!("{}: {why}", path.display()));
    let bytes = read_file(path).map_err(Exit::FragmentFile)?;
    let text = passphrase::open(bytes.expose(), passphrase, PURPOSE)
        .map_err(|why| wrong(why.to_string()))?;
    let file = FragmentFile::parse(text.expose()).and_then(FragmentFile::sound);
    file.map_err(|problem| wrong(problem.to_string()))
}
