//! Changing the draft and signing it: what changes is shown, a person agrees, a new version is
//! signed.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use keysherd_base::{Clock as _, SystemClock};
use keysherd_cli::Terminal;
use keysherd_fragments::bundle::pinned::PinnedBundle;

use super::changes::changes;
use super::draft::Draft;
use super::home::{DRAFT_FILE, OwnerHome, draft_of};
use super::key::OwnerSecrets;
use crate::exit::Exit;
use crate::roles::process::write_stdout;
use crate::roles::trust::BUNDLE;

/// How a change is agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Consent {
    /// Show what would change, and nothing else.
    pub(super) dry_run: bool,
    /// Do not ask.
    pub(super) yes: bool,
    /// The newest bundle that is in force, where this directory may be an older copy.
    pub(super) current: Option<PathBuf>,
}

impl Consent {
    /// What the flags say.
    pub(super) fn of(flags: &ArgMatches) -> Self {
        Self {
            dry_run: flags.get_flag("dry-run"),
            yes: flags.get_flag("yes"),
            current: flags.get_one::<String>("current").map(PathBuf::from),
        }
    }
}

/// Changes the draft with `change`, shows what the new bundle changes, and signs it.
pub(super) fn change(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    change: impl FnOnce(&mut Draft) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let mut draft = home.draft()?;
    let before = draft.clone();
    change(&mut draft)?;
    agree_and_sign(home, secrets, consent, &before, &draft)
}

/// Signs the draft as people left it, or the one in `file`.
pub(super) fn sign_draft(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    file: Option<&Path>,
) -> Result<(), Exit> {
    let before = home.draft();
    let draft = match file {
        None => home.draft()?,
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Exit::Configuration(format!("cannot read {}: {error}", path.display()))
            })?;
            draft_of(&bytes, path)?
        }
    };
    agree_and_sign(home, secrets, consent, before.as_ref().unwrap_or(&draft), &draft)
}

fn agree_and_sign(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    before: &Draft,
    draft: &Draft,
) -> Result<(), Exit> {
    let newest = home.bundle()?;
    let current = consent.current.as_deref().map(|path| read_current(home, path)).transpose()?;
    let base = newer_of(newest, current)?;
    let version = home.next_version(base.as_ref())?;
    let bundle = draft.to_bundle(version, SystemClock.now())?;
    let mut names = draft.names();
    names.fill_from(before.names());
    let lines = changes(base.as_ref().map(PinnedBundle::bundle), &bundle, &names);
    if lines.is_empty() {
        if !consent.dry_run {
            home.write_draft(draft)?;
        }
        write_stdout("nothing changes: the newest bundle says all of it already\n");
        return Ok(());
    }
    let owner = home.public()?.fingerprint();
    write_stdout(&format!("version {version}, for owner key {owner}:\n"));
    for line in &lines {
        write_stdout(&format!("  {line}\n"));
    }
    if consent.dry_run {
        write_stdout("dry run: nothing was signed or written\n");
        return Ok(());
    }
    agree(consent, "Sign this?")?;
    let key = home.key(secrets)?;
    let statements = base.map(|base| base.signed().successions.clone()).unwrap_or_default();
    let signed = home.sign(&bundle, &key, statements)?;
    home.write_draft(draft)?;
    let file = home.dir.join(BUNDLE);
    write_stdout(&format!(
        "signed: version {} in {}\nnext: carry that file to control and run there: \
         keysherd control accept-bundle FILE\n",
        signed.version(),
        file.display()
    ));
    Ok(())
}

/// The bundle that the change begins from.
fn newer_of(
    newest: Option<PinnedBundle>,
    current: Option<PinnedBundle>,
) -> Result<Option<PinnedBundle>, Exit> {
    match (newest, current) {
        (Some(newest), Some(current)) if current.version() > newest.version() => {
            // The draft here is older than what is in force: signing it would undo that silently.
            Err(Exit::Configuration(format!(
                "the bundle given with --current has version {}, this directory knows {}: it is an \
                 older copy; take over the newer one first: keysherd owner adopt FILE",
                current.version(),
                newest.version()
            )))
        }
        (newest, current) => Ok(newest.or(current)),
    }
}

/// Takes a newer bundle of this owner, from control, over into this directory: it and the draft.
pub(super) fn adopt(home: &OwnerHome, file: &Path, consent: &Consent) -> Result<(), Exit> {
    let newer = read_current(home, file)?;
    let newest = home.bundle()?;
    if newest.as_ref().is_some_and(|newest| newest.version() >= newer.version()) {
        return Err(Exit::Configuration(format!(
            "{} has version {}, which is not newer than the one here",
            file.display(),
            newer.version()
        )));
    }
    let names = home.draft().map(|draft| draft.names()).unwrap_or_default();
    let old = newest.as_ref().map(PinnedBundle::bundle);
    for line in changes(old, newer.bundle(), &names) {
        write_stdout(&format!("  {line}\n"));
    }
    if consent.dry_run {
        return Ok(());
    }
    agree(consent, &format!("Take this over, and replace {DRAFT_FILE} by it?"))?;
    use keysherd_fragments::encoding::Encoding as _;
    home.dir.write(BUNDLE, &newer.signed().to_bytes())?;
    home.write_draft(&Draft::of_bundle(newer.bundle(), Some(&names)))?;
    write_stdout(&format!("taken over: version {}\n", newer.version()));
    Ok(())
}

fn read_current(home: &OwnerHome, path: &Path) -> Result<PinnedBundle, Exit> {
    let bytes = std::fs::read(path)
        .map_err(|error| Exit::Configuration(format!("cannot read {}: {error}", path.display())))?;
    home.read_bundle(&bytes, path)
}

/// Asks a person, unless that was answered on the command line.
pub(super) fn agree(consent: &Consent, question: &str) -> Result<(), Exit> {
    if consent.yes {
        return Ok(());
    }
    Terminal::of_process(|terminal| {
        if !terminal.stdin_is_terminal {
            return Err(Exit::Configuration(
                "nobody is there to agree; look at --dry-run, then give --yes".to_owned(),
            ));
        }
        use std::io::BufRead as _;
        let _closed = write!(terminal.stderr, "{question} Type yes: ");
        let _closed = terminal.stderr.flush();
        let mut line = String::new();
        let read = std::io::BufReader::new(&mut *terminal.stdin).read_line(&mut line);
        match read {
            Ok(_) if line.trim() == "yes" => Ok(()),
            _ => Err(Exit::Configuration("not agreed; nothing was signed or written".to_owned())),
        }
    })
}
