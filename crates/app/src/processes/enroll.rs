//! The request by which a new machine asks the owner to be trusted: its identity is made, and a
//! file is written that a person carries to the owner.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::enrollment::{self, EnrolledRole, Enrollment};

use super::control::IDENTITY_KEY;
use crate::config::enroll::EnrollSettings;
use crate::config::fragments::FragmentsSettings;
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::fragments::{self, FragmentsParts};
use crate::roles::late::Late;
use crate::roles::process::{write_stderr, write_stdout};
use crate::roles::{control, gateway, owner_pin};

/// Enrolls a machine of control.
pub(crate) fn control(settings: &EnrollSettings) -> Result<(), Exit> {
    let (dir, owner) = open(settings)?;
    let rng = SystemRng::handle();
    let key = dir.signing_key(IDENTITY_KEY, &*rng)?;
    let permit_key = control::keys(&dir, &rng)?.permit.public();
    write(settings, &dir, &owner, &key, EnrolledRole::Control { permit_key })
}

/// Enrolls a gateway.
pub(crate) fn gateway(settings: &EnrollSettings) -> Result<(), Exit> {
    let (dir, owner) = open(settings)?;
    let key = gateway::instance_key(&dir, &SystemRng::handle())?;
    write(settings, &dir, &owner, &key, EnrolledRole::Gateway)
}

/// Enrolls a fragment manager.
pub(crate) fn fragments(
    settings: &EnrollSettings,
    manager: &FragmentsSettings,
) -> Result<(), Exit> {
    let (dir, owner) = open(settings)?;
    let rng = SystemRng::handle();
    let parts = FragmentsParts {
        index: manager.index,
        owner,
        bundle: None,
        peers: Late::new(),
        at_rest: manager.at_rest.open(&rng, &crate::env)?.at(&dir)?,
        clock: Arc::new(SystemClock),
        rng,
    };
    let opened = fragments::open(&dir, parts)?;
    let role = EnrolledRole::Manager { index: manager.index };
    write(settings, &dir, &owner, opened.identity_key(), role)
}

fn open(settings: &EnrollSettings) -> Result<(DataDir, PublicKey), Exit> {
    let dir = DataDir::open(&settings.data_dir)?;
    let owner = owner_pin::open(&dir, settings.owner_key)?;
    Ok((dir, owner))
}

fn write(
    settings: &EnrollSettings,
    dir: &DataDir,
    owner: &PublicKey,
    key: &SigningKey,
    role: EnrolledRole,
) -> Result<(), Exit> {
    let request = Enrollment {
        role,
        key: key.public(),
        name: settings.name.clone(),
        address: settings.address.clone(),
        made_at: SystemClock.now(),
    };
    let fingerprint = key.public().fingerprint();
    let comments = [
        format!("Request of {} to be trusted, made {}", settings.name, request.made_at),
        format!("Fingerprint: {fingerprint}"),
        "The owner compares the fingerprint with the machine and runs: keysherd owner add FILE"
            .to_owned(),
    ];
    let text = enrollment::to_file(&request.seal(key), &comments);
    let file = match &settings.out {
        Some(path) => path.clone(),
        None => dir.join(&format!("{}.request", settings.name)),
    };
    // Where there is no shell, the request is carried away as it is written.
    let carried = file.as_os_str() == "-";
    if carried {
        write_stdout(&text);
    } else {
        let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", file.display()));
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        let mut opened = options.open(&file).map_err(failed)?;
        opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).map_err(failed)?;
    }
    let mut told = format!(
        "request       {}\nfingerprint   {fingerprint}\nowner key     {}\n",
        file.display(),
        owner.fingerprint()
    );
    if request.address.is_empty() && !matches!(role, EnrolledRole::Gateway) {
        told.push_str(
            "warning: no --address, so every other machine must be told where this one listens\n",
        );
    }
    told.push_str(
        "Compare the owner's fingerprint with what the owner shows. Then carry the request to the \
         owner and run there:\n  keysherd owner add FILE --dry-run\n  keysherd owner add FILE\n",
    );
    if carried {
        // As comments: where both outputs are one log, that log is a request file.
        let told: String = told.lines().map(|line| format!("# {line}\n")).collect();
        write_stderr(&told);
    } else {
        write_stdout(&told);
    }
    Ok(())
}
