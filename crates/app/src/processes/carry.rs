//! `keysherd gateway export`, `import` and `clone`: a cluster's whole configuration out of it, and
//! into another one. What is in it is in the memory of this process and in nothing that is written
//! unsealed.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, RngHandle, Secret, SecretString, SystemClock};
use keysherd_crypto::carried::{self, Carried};
use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::hpke;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_gateway::{BringIn, BroughtIn, CARRIED_BYTES_MAX, CarriedConfig, Change, ChangeKind};

use super::gateway::{Joining, open_fragments};
use crate::config::carry::{CarryErrand, CarrySettings};
use crate::config::cluster::ProofSource;
use crate::exit::Exit;
use crate::private_file;
use crate::roles::carrier::Carrier;
use crate::roles::files::DataDir;
use crate::roles::gateway::instance_key;
use crate::roles::membership::ClusterParts;
use crate::roles::parties;
use crate::roles::process::{given_file, write_stdout};

#[cfg(test)]
mod tests;

/// What a carried file is for.
const PURPOSE: &str = "gateway-config";
/// Before a public key in its file.
const PUBLIC: &str = "keysherd-carry-public-1:";
/// Before a private key in its file.
const PRIVATE: &str = "keysherd-carry-private-1:";
/// Longest file with a key, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// Longest carried file, in bytes.
const FILE_BYTES_MAX: u64 = (CARRIED_BYTES_MAX + carried::OVERHEAD_BYTES) as u64;
/// How long the owner, control and the managers have, each.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the cluster was joined.
const LOOK: Duration = Duration::from_millis(50);

/// Makes the key that configurations are sealed to: the private half stays in `key`.
///
/// # Errors
/// [`Exit::Files`] when a file cannot be written; it is never one that is there.
pub(crate) fn recipient(key: &Path, public: &Path) -> Result<(), Exit> {
    let mut seed = Secret::new([0; 32]);
    let rng = SystemRng::handle();
    rng.fill(seed.expose_mut()).map_err(|error| Exit::Damaged(error.to_string()))?;
    let text = SecretString::new(format!("{PRIVATE}{}\n", hex::encode(seed.expose())));
    let shown = format!("{PUBLIC}{}\n", hex::encode(hpke::public_key(&seed)));
    // A public key whose private half could not be kept is of no use to anybody.
    write_new(public, shown.as_bytes())?;
    write_new(key, text.expose().as_bytes()).inspect_err(|_| drop(fs::remove_file(public)))?;
    write_stdout(&format!(
        "private key     {}: keep it where configurations are imported, and nowhere else\n\
         public key      {}: give it to export\n",
        key.display(),
        public.display()
    ));
    Ok(())
}

/// Does what the command line says.
///
/// # Errors
/// [`Exit`] says what; the cluster's configuration is as before then.
pub(crate) async fn run(settings: CarrySettings) -> Result<(), Exit> {
    let CarrySettings { gateway, errand } = settings;
    // What is wrong with a file is told before anybody is asked.
    let errand = Prepared::new(errand)?;
    let dir = DataDir::open(&gateway.data_dir)?;
    let rng: RngHandle = SystemRng::handle();
    let instance = instance_key(&dir, &rng)?;
    let cluster = match gateway.serving.cluster.clone() {
        // Two processes that rotate one token end it for each other.
        Some(settings) if matches!(settings.proof, ProofSource::Uid(_)) => {
            return Err(Exit::Configuration(
                "a gateway whose identity is universal rotates its token, which nobody may do \
                 beside it; use the credential of another auth method, under a cluster of its own"
                    .to_owned(),
            ));
        }
        Some(settings) => {
            let address = parties::own_address(&gateway.controls).await;
            Some(ClusterParts { settings, address })
        }
        None => None,
    };
    let mut joining = Joining::new(&dir, &gateway)?;
    let bundle = tokio::time::timeout(PATIENCE, joining.wait_for_newest_bundle()).await;
    let bundle = bundle.map_err(|_| {
        Exit::Unreachable(
            "control gives no trust bundle that names this gateway: either it does not answer, or \
             the owner must add the gateway"
                .to_owned(),
        )
    })??;
    let fragments = open_fragments(&gateway).await;
    let carrier = joining.carrier(bundle.clone(), fragments, cluster)?;
    wait_until_joined(&carrier).await?;
    match errand {
        Prepared::Export { recipient, out } => {
            let config = carrier.configs.carry_out().await.map_err(of_another)?;
            let text = config.to_bytes()?;
            let sealed = carried::seal(&text, PURPOSE, &recipient, &instance, &*rng)
                .map_err(|failed| Exit::Damaged(failed.to_string()))?;
            write_new(&out, &sealed)?;
            write_stdout(&format!(
                "exported: {} configurations of {} (version {}) in {}\nsigned by {}\n",
                config.count(),
                config.full_name(),
                config.version(),
                out.display(),
                instance.public().fingerprint()
            ));
            Ok(())
        }
        Prepared::Import { bytes, seed, signer, how } => {
            let config = opened(&bytes, &seed, signer, &bundle, &instance)?;
            bring_in(&carrier, config, how, &rng).await
        }
        Prepared::Clone { from, how } => {
            let config = carrier.configs.carry_out_of(&from).await.map_err(of_another)?;
            bring_in(&carrier, config, how, &rng).await
        }
    }
}

/// What is to be done, with the files that it takes.
enum Prepared {
    Export { recipient: Vec<u8>, out: PathBuf },
    Import { bytes: Vec<u8>, seed: Secret<[u8; 32]>, signer: Option<Fingerprint>, how: BringIn },
    Clone { from: String, how: BringIn },
}

impl Prepared {
    fn new(errand: CarryErrand) -> Result<Self, Exit> {
        Ok(match errand {
            CarryErrand::Export { recipient, out } => {
                let text = given_file(&recipient, KEY_FILE_BYTES_MAX);
                let recipient = text.ok().and_then(|text| public_key(&text)).ok_or_else(|| {
                    Exit::Configuration(format!(
                        "--recipient {} is no file with a public key; keysherd gateway recipient \
                         makes one",
                        recipient.display()
                    ))
                })?;
                Self::Export { recipient, out }
            }
            CarryErrand::Import { file, key, signer, force, dry_run } => {
                let bytes = given_file(&file, FILE_BYTES_MAX)
                    .map_err(|why| Exit::Files(format!("--file {}: {why}", file.display())))?;
                let seed = private_key(&key)?;
                Self::Import { bytes, seed, signer, how: BringIn { force, dry_run } }
            }
            CarryErrand::Clone { from, force, dry_run } => {
                Self::Clone { from, how: BringIn { force, dry_run } }
            }
        })
    }
}

fn public_key(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim().strip_prefix(PUBLIC)?;
    let key = hex::decode(text).ok()?;
    hpke::is_public_key(&key).then_some(key)
}

fn private_key(path: &Path) -> Result<Secret<[u8; 32]>, Exit> {
    let wrong = |why: String| Exit::Configuration(format!("--key {why}"));
    let file = private_file::open(path).map_err(wrong)?;
    let mut text = Secret::new(String::new());
    let read = file.take(KEY_FILE_BYTES_MAX).read_to_string(text.expose_mut());
    read.map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    let mut seed = Secret::new([0; 32]);
    let hex = text.expose().trim().strip_prefix(PRIVATE);
    let decoded = hex.map(|hex| hex::decode_to_slice(hex, seed.expose_mut()));
    match decoded {
        Some(Ok(())) => Ok(seed),
        _ => Err(wrong(format!(
            "{} has no private key; keysherd gateway recipient makes one",
            path.display()
        ))),
    }
}

/// The configuration in a file, if somebody sealed it whose word counts: a gateway that the owner's
/// bundle names, or whom the operator named.
fn opened(
    bytes: &[u8],
    seed: &Secret<[u8; 32]>,
    signer: Option<Fingerprint>,
    bundle: &PinnedBundle,
    instance: &SigningKey,
) -> Result<CarriedConfig, Exit> {
    let file = Carried::parse(bytes)
        .ok_or_else(|| Exit::NotIntact("the file is no exported configuration".to_owned()))?;
    let text = file.open(seed, PURPOSE).map_err(|_| {
        Exit::NotIntact(
            "the file does not open: it is sealed to another key, or was changed on its way"
                .to_owned(),
        )
    })?;
    let by = file.signer();
    check_signer(&by, signer, bundle, instance)?;
    CarriedConfig::from_bytes(&text).map_err(|fault| Exit::NotIntact(fault.to_string()))
}

/// Whether the word of the file's signer counts. The advice has no fingerprint that could be copied
/// without a look.
fn check_signer(
    by: &PublicKey,
    named: Option<Fingerprint>,
    bundle: &PinnedBundle,
    instance: &SigningKey,
) -> Result<(), Exit> {
    let clock: ClockHandle = Arc::new(SystemClock);
    let found = by.fingerprint();
    match named {
        Some(named) if named == found => Ok(()),
        Some(_) => Err(Exit::Refused(format!(
            "the file is signed by {found}, and not by whom --signer names"
        ))),
        None if *by == instance.public()
            || parties::is_gateway(bundle, &by.spki_sha256(), &clock) =>
        {
            Ok(())
        }
        None => Err(Exit::Refused(format!(
            "the file is signed by {found}, which is no gateway of the trust bundle (version {}); \
             anybody can seal a file to a public key. If its maker told you their fingerprint in \
             another way than with the file, give that with --signer",
            bundle.version()
        ))),
    }
}

async fn wait_until_joined(carrier: &Carrier) -> Result<(), Exit> {
    let joined = async {
        let mut looks = tokio::time::interval(LOOK);
        while carrier.membership.joined().is_none() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, joined).await.map_err(|_| {
        let health = carrier.membership.health();
        let why = health.problem.unwrap_or_else(|| "control does not answer".to_owned());
        Exit::Unreachable(format!("this gateway is not in its cluster {}: {why}", health.name))
    })
}

async fn bring_in(
    carrier: &Carrier,
    config: CarriedConfig,
    how: BringIn,
    rng: &RngHandle,
) -> Result<(), Exit> {
    let (from, to) = (config.full_name(), carrier.membership.health().name);
    let done = carrier.configs.bring_in(config, how, &**rng).await.map_err(of_another)?;
    let BroughtIn { changes, version, against } = done;
    let mut text = format!("from {from} to {to}:\n");
    for Change { kind, name, what } in &changes {
        let mark = match what {
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Removed => '-',
        };
        text.push_str(&format!("  {mark} {kind} {}\n", name.escape_default()));
    }
    match (changes.is_empty(), how.dry_run) {
        (true, _) => text.push_str("nothing changes; it is the same already\n"),
        (false, true) => {
            text.push_str("nothing was changed, as --dry-run wants it\n");
            if let Some(against) = against.filter(|_| !how.force) {
                text.push_str(&format!("it would need --force: {against}\n"));
            }
        }
        (false, false) => text.push_str(&format!("in force as version {version}\n")),
    }
    write_stdout(&text);
    Ok(())
}

fn of_another(fault: Fault) -> Exit {
    Exit::of_another_role(&fault)
}

/// Writes a file that is not there yet, for its owner only, so that it is there after a power
/// failure; or leaves none.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Exit> {
    let failed = |error: std::io::Error| {
        let what_to_do = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "; choose another name, or remove it",
            _ => "",
        };
        Exit::Files(format!("{}: {error}{what_to_do}", path.display()))
    };
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        fs::File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    });
    // What is there would be in the way of the next attempt.
    written.map_err(failed).inspect_err(|_| drop(fs::remove_file(path)))
}
