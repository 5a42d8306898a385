//! The trust bundle of a one-machine installation: written and signed by the owner key beside it.

use std::sync::Arc;

use keysherd_base::{Clock, Rng, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::bundle::{
    BUNDLE_LIST_MAX, Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey,
};
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
) -> Result<Arc<Trusted>, Exit> {
    let trusted = Trusted::open(dir.clone(), owner.public())?;
    if trusted.bundle().is_none() {
        trusted.offer(first(parties, owner, clock, rng)?)?;
    }
    Ok(trusted)
}

/// The owner of a one-machine installation, who is this machine.
pub(super) struct Owner {
    /// The signing key.
    pub(super) key: SigningKey,
    /// The bundle it signed.
    pub(super) trusted: Arc<Trusted>,
}

impl Owner {
    /// Lets the gateway use these customer fragments, unless the bundle does already. None is taken
    /// away: what a gateway loses and finds again must work without the owner.
    pub(super) fn allow_fragments(
        &self,
        ids: &[Uid],
        clock: &dyn Clock,
    ) -> Result<Arc<PinnedBundle>, Exit> {
        let none = || Exit::Damaged(format!("{BUNDLE} was not written"));
        let pinned = self.trusted.bundle().ok_or_else(none)?;
        let mut bundle = pinned.bundle().clone();
        let Some(cluster) = bundle.clusters.first_mut() else { return Ok(pinned) };
        let new: Vec<Uid> =
            ids.iter().filter(|id| !cluster.fragments.contains(id)).copied().collect();
        if new.is_empty() {
            return Ok(pinned);
        }
        cluster.fragments.extend(new);
        if cluster.fragments.len() > BUNDLE_LIST_MAX {
            return Err(Exit::Configuration(format!(
                "customer-fragments: this gateway had more than {BUNDLE_LIST_MAX}, which is what \
                 the trust bundle can allow"
            )));
        }
        bundle.version += 1;
        bundle.issued_at = clock.now();
        self.trusted.offer(bundle.seal(&self.key))?;
        self.trusted.bundle().ok_or_else(none)
    }
}

fn first(
    parties: Parties,
    owner: &SigningKey,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<SignedBundle, Exit> {
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
