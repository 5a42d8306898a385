//! The trust bundle of a one-machine installation: written and signed by the owner key beside it.

use std::sync::Arc;

use keysherd_base::{Clock, Rng, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey};
use keysherd_fragments::encoding::Signed;
use keysherd_fragments::permit::Op;

use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::trust::{BUNDLE, Trusted};

/// The key group of a one-machine installation.
const GROUP: &str = "default";
/// Days a permit key of a one-machine installation may sign.
const PERMIT_KEY_DAYS: i64 = 3_650;
/// File of the owner's signing key.
const OWNER_KEY: &str = "owner.key";

/// Whom the bundle names.
pub(super) struct Parties {
    /// The managers, by ascending index.
    pub(super) managers: Vec<ManagerEntry>,
    /// The control plane's permit key.
    pub(super) permit_key: PublicKey,
    /// SHA-256 of the gateway instance's public key.
    pub(super) gateway_spki_sha256: [u8; 32],
}

/// The owner's signing key, made at the first start.
pub(super) fn owner_key(dir: &DataDir, rng: &dyn Rng) -> Result<SigningKey, Exit> {
    dir.signing_key(OWNER_KEY, rng)
}

/// Reads the bundle, or has the owner key sign the first one.
pub(super) fn open(
    dir: &DataDir,
    owner: &SigningKey,
    parties: Parties,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<(Arc<Trusted>, Arc<PinnedBundle>), Exit> {
    let trusted = Trusted::open(dir.clone(), owner.public())?;
    if trusted.bundle().is_none() {
        trusted.offer(first(parties, owner, clock, rng)?)?;
    }
    let bundle = trusted
        .bundle()
        .ok_or_else(|| Exit::Damaged(format!("{} was not written", dir.join(BUNDLE).display())))?;
    Ok((trusted, bundle))
}

fn first(
    parties: Parties,
    owner: &SigningKey,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<Signed, Exit> {
    let id = || Uid::random(rng).map_err(|error| Exit::Damaged(error.to_string()));
    let now = clock.now();
    let bundle = Bundle {
        deployment: id()?,
        version: 1,
        issued_at: now,
        accounts: Vec::new(),
        managers: parties.managers,
        permit_keys: vec![PermitKey {
            key: parties.permit_key,
            not_before: now.plus_seconds(-3_600),
            not_after: now.plus_seconds(PERMIT_KEY_DAYS * 86_400),
        }],
        clusters: vec![Cluster {
            id: id()?,
            instances: vec![parties.gateway_spki_sha256],
            cluster_key: None,
            groups: vec![GROUP.to_owned()],
            fragments: Vec::new(),
            ops: Op::ALL.to_vec(),
            caps: Caps::UNLIMITED,
        }],
        groups: vec![KeyGroup {
            name: GROUP.to_owned(),
            fragment_required: false,
            caps: Caps::UNLIMITED,
            key_caps: Caps::UNLIMITED,
        }],
        account_caps: Caps::UNLIMITED,
        cache_ttl_seconds_max: 3_600,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    };
    Ok(bundle.seal(owner))
}
