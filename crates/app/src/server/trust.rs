//! The trust bundle of a one-machine installation: written and signed by the owner key beside it.

use std::sync::Arc;

use keysherd_base::{Clock, Rng, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::bundle::{
    BUNDLE_LIST_MAX, Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey,
};
use keysherd_fragments::owner_key;
use keysherd_fragments::permit::Op;

use crate::exit::Exit;
use crate::owner::{KEY_FILE as OWNER_KEY, PUBLIC_FILE};
use crate::roles::files::DataDir;
use crate::roles::trust::{BUNDLE, Trusted};

/// The key group of a one-machine installation.
const GROUP: &str = "default";
/// Days a permit key of a one-machine installation may sign.
const PERMIT_KEY_DAYS: i64 = 3_650;

/// Whom the bundle names.
pub(super) struct Parties {
    /// The managers, by ascending index.
    pub(super) managers: Vec<ManagerEntry>,
    /// The control plane's permit key.
    pub(super) permit_key: PublicKey,
    /// SHA-256 of the gateway instance's public key.
    pub(super) gateway_spki_sha256: [u8; 32],
}

/// The key of the owner.
pub(super) enum OwnerKey {
    /// Here, as long as nobody has taken it away.
    Here(SigningKey),
    /// Somewhere else: `keysherd owner move` took it there. This machine obeys it.
    Elsewhere(PublicKey),
}

impl OwnerKey {
    /// Reads the owner's key; makes it at the first start.
    pub(super) fn open(dir: &DataDir, rng: &dyn Rng) -> Result<Self, Exit> {
        if dir.join(OWNER_KEY).exists() {
            return dir.signing_key(OWNER_KEY, rng).map(Self::Here);
        }
        match dir.read(PUBLIC_FILE)? {
            None => dir.signing_key(OWNER_KEY, rng).map(Self::Here),
            Some(bytes) => {
                let public = owner_key::from_file(&String::from_utf8_lossy(&bytes));
                public.map(Self::Elsewhere).ok_or_else(|| {
                    let file = dir.join(PUBLIC_FILE);
                    Exit::Damaged(format!("{} is not an owner's public key", file.display()))
                })
            }
        }
    }

    /// The public half.
    pub(super) fn public(&self) -> PublicKey {
        match self {
            Self::Here(key) => key.public(),
            Self::Elsewhere(public) => *public,
        }
    }
}

/// Reads the bundle, or has the owner key sign the first one.
pub(super) fn open(
    dir: &DataDir,
    owner: &OwnerKey,
    parties: Parties,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<Arc<Trusted>, Exit> {
    let trusted = Trusted::open(dir.clone(), owner.public())?;
    match owner {
        _ if trusted.bundle().is_some() => {}
        OwnerKey::Here(key) => drop(trusted.offer(first(parties, key, clock, rng)?)?),
        OwnerKey::Elsewhere(_) => {
            return Err(Exit::Damaged(format!(
                "{} is missing and the owner's key is not here; restore it, or bring the newest \
                 bundle from the owner",
                dir.join(BUNDLE).display()
            )));
        }
    }
    Ok(trusted)
}

/// The owner of a one-machine installation, who is this machine until the key is moved.
pub(super) struct Owner {
    /// The signing key.
    pub(super) key: OwnerKey,
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
        let OwnerKey::Here(key) = &self.key else {
            tracing::warn!(
                fragments = ?new,
                "customer fragments that the trust bundle does not allow are not used; let the \
                 owner run: keysherd owner allow-fragment"
            );
            return Ok(pinned);
        };
        cluster.fragments.extend(new);
        if cluster.fragments.len() > BUNDLE_LIST_MAX {
            return Err(Exit::Configuration(format!(
                "customer-fragments: this gateway had more than {BUNDLE_LIST_MAX}, which is what \
                 the trust bundle can allow"
            )));
        }
        bundle.version += 1;
        bundle.issued_at = clock.now();
        self.trusted.offer(bundle.seal(key))?;
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
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    };
    Ok(bundle.seal(owner))
}
