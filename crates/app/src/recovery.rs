//! Recovery escrow at the command line: exports of managers, and the ceremony that brings their
//! fragments back when all of them are lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use keysherd_base::{Secret, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::escrow::{EXPORT_BYTES_MAX, Export, SignedExport, drill, recover};
use keysherd_fragments::recovery_share::{RecoveryShare, combine_recovery_key};
use keysherd_manager::Manager;

use crate::config::fragments::FragmentsSettings;
use crate::config::recovery::RecoveryErrand;
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::fragments::{self, FragmentsParts};
use crate::roles::late::Late;
use crate::roles::owner_pin;
use crate::roles::process::write_stdout;

/// Longest share file, in bytes.
const SHARE_BYTES_MAX: u64 = 16 * 1024;
/// Longest bundle file, in bytes.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Does what the command line says.
///
/// # Errors
/// [`Exit`]: nothing was written then, except the identity of a new manager.
pub(crate) fn run(errand: &RecoveryErrand) -> Result<(), Exit> {
    match errand {
        RecoveryErrand::Export { manager, bundle, out } => export(manager, bundle.as_deref(), out),
        RecoveryErrand::Test => test(),
        RecoveryErrand::Recover { manager, bundle, exports, shares } => {
            let seed = read_seed(shares)?;
            let dir = DataDir::open(&manager.data_dir)?;
            let owner = owner_pin::open(&dir, manager.owner_key)?;
            let bundle = read_bundle(bundle, owner)?;
            let exports: Result<Vec<_>, _> =
                exports.iter().map(|path| read_export(path, &bundle)).collect();
            bring_back(manager, &dir, owner, &bundle, &exports?, &seed)
        }
    }
}

fn export(settings: &FragmentsSettings, bundle: Option<&Path>, out: &Path) -> Result<(), Exit> {
    let dir = DataDir::open(&settings.data_dir)?;
    let owner = owner_pin::open(&dir, settings.owner_key)?;
    let bundle = bundle.map(|path| read(path, BUNDLE_BYTES_MAX)).transpose()?;
    let made = open(settings, &dir, owner, bundle)?.export_recovery()?;
    let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", out.display()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(out).map_err(failed)?;
    file.write_all(&made.bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    let mut told = format!(
        "exported: {} key versions of manager {} in {}\n",
        made.keys,
        settings.index,
        out.display()
    );
    if made.missing > 0 {
        told.push_str(&format!(
            "warning: {} key versions are not in it, because this manager waits for its repair\n",
            made.missing
        ));
    }
    told.push_str(
        "Keep it where the custodians find it. Destroy older exports: they hold fragments that \
         were replaced. After a refresh of the fragments, export every manager again.\n",
    );
    write_stdout(&told);
    Ok(())
}

fn test() -> Result<(), Exit> {
    let proved = drill(&SystemClock, &SystemRng);
    let proved = proved.map_err(|failed| Exit::NotIntact(failed.to_string()))?;
    for line in proved {
        write_stdout(&format!("proved: {line}\n"));
    }
    Ok(())
}

fn bring_back(
    settings: &FragmentsSettings,
    dir: &DataDir,
    owner: PublicKey,
    bundle: &PinnedBundle,
    exports: &[Export],
    seed: &Secret<[u8; 32]>,
) -> Result<(), Exit> {
    let recovered = recover(bundle, settings.index, exports, seed).map_err(|blame| {
        let whose = blame.culprit.map(|manager| format!("the export of manager {manager}: "));
        Exit::NotIntact(format!(
            "{}{}: give one export of each manager, made for the recovery key of these shares",
            whose.unwrap_or_default(),
            blame.refusal
        ))
    })?;
    for (key, blame) in &recovered.left {
        let refusal = &blame.refusal;
        write_stdout(&format!(
            "not recovered: account {} key {} version {}: {refusal}\n",
            key.account, key.id, key.version
        ));
    }
    if recovered.admitted.is_empty() {
        return Err(Exit::NotIntact(
            "the exports give no fragments of this manager: give those of as many managers as a \
             key needs, all made after the last refresh"
                .to_owned(),
        ));
    }
    let manager = open(settings, dir, owner, None)?;
    let count = manager.import_recovered(recovered.admitted)?;
    write_stdout(&format!(
        "recovered: {count} key versions of manager {} in {}; every fragment fits its key\n\
         next: keysherd fragments enroll with the same --data-dir and --index; the owner runs \
         keysherd owner add FILE --replace NAME for each manager; then refresh the fragments, and \
         make another recovery key: this one was put together here\n",
        settings.index,
        settings.data_dir.display()
    ));
    Ok(())
}

/// The manager in `dir`, which must not run; it reaches nobody.
fn open(
    settings: &FragmentsSettings,
    dir: &DataDir,
    owner: PublicKey,
    bundle: Option<Vec<u8>>,
) -> Result<Arc<Manager>, Exit> {
    let rng = SystemRng::handle();
    let parts = FragmentsParts {
        index: settings.index,
        owner,
        bundle,
        peers: Late::new(),
        at_rest: settings.at_rest.open(&rng, &crate::env)?.at(dir)?,
        clock: Arc::new(SystemClock),
        rng,
    };
    fragments::open(dir, parts)
}

fn read_seed(files: &[std::path::PathBuf]) -> Result<Secret<[u8; 32]>, Exit> {
    let shares: Result<Vec<_>, _> = files.iter().map(|path| read_share(path)).collect();
    combine_recovery_key(&shares?).map_err(|problem| Exit::NotIntact(problem.to_string()))
}

/// Reads a custodian's share.
pub(crate) fn read_share(path: &Path) -> Result<RecoveryShare, Exit> {
    let bytes = Secret::new(read(path, SHARE_BYTES_MAX)?);
    let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    RecoveryShare::parse(text)
        .map_err(|problem| Exit::NotIntact(format!("{}: {problem}", path.display())))
}

fn read_bundle(path: &Path, owner: PublicKey) -> Result<PinnedBundle, Exit> {
    let bytes = read(path, BUNDLE_BYTES_MAX)?;
    let opened =
        SignedBundle::from_bytes(&bytes).and_then(|signed| PinnedBundle::open(owner, signed));
    opened.map_err(|refusal| Exit::NotIntact(format!("{}: {refusal}", path.display())))
}

fn read_export(path: &Path, bundle: &PinnedBundle) -> Result<Export, Exit> {
    let bytes = read(path, EXPORT_BYTES_MAX as u64 + 128)?;
    let verified = SignedExport::from_bytes(&bytes).and_then(|signed| signed.verify(bundle));
    verified.map_err(|refusal| {
        Exit::NotIntact(format!(
            "{}: {refusal}; it must be what export-recovery wrote at a manager of this bundle",
            path.display()
        ))
    })
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Exit> {
    let cannot = |why: String| Exit::Files(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if length > bytes_max {
        return Err(cannot(format!("{length} bytes; at most {bytes_max} are read")));
    }
    std::fs::read(path).map_err(|error| cannot(error.to_string()))
}
