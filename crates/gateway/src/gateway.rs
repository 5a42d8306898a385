//! The gateway role: puts reader, writer, transit and key generation behind [`Crypt`].

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keysherd_api::{
    CachePolicy, Crypt, Ctx, Freshness, GeneratedKey, HeldFragment, KeyWish, ManagerSaid,
    OfflinePolicy, OpenedForUse, OpenedItem, RotateWish, SealedWrite, TakenOrder, TransitMessage,
    TransitResult,
};
use keysherd_base::{
    AccessId, AccountId, ClockHandle, Fault, ItemPath, RngHandle, SecretBytes, Uid,
};
use keysherd_crypto::envelope::Envelope;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::item::NameTag;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::encoding::Signed;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::order::KeyReport;
use keysherd_plane::credential_rotations::Reason;
use keysherd_plane::grants::{ItemRef, Keeping, Purpose, VersionWish, WriteTarget};
use keysherd_plane::rotation::{KeyRotateReply, RotatedKey};
use keysherd_plane::{BoxFuture, PlaneHandle};

use crate::batcher::Batcher;
use crate::cache::cold::CopyKey;
use crate::cache::{CacheHealth, CacheSettings, ReadCache};
use crate::confirming::{Confirmed, Confirming};
use crate::customer::CustomerFragments;
use crate::derive::Derivations;
use crate::duty::Duty;
use crate::health::ManagerHealth;
use crate::incidents::Incidents;
use crate::key_cache::KeyCache;
use crate::keygen::{FIRST_VERSION, KeyGenerator, KeyPlan, MadeKey};
use crate::logs::LogFinding;
use crate::managers::{Links, Managers};
use crate::on_targets::OnTargets;
use crate::orders;
use crate::reader::{Reader, ReaderParts};
use crate::rewrap::Rewrapper;
use crate::spool::Spool;
use crate::tenants::Tenants;
use crate::transit::Transit;
use crate::writer::Writer;

mod opening;
mod parts;

use opening::{open_cache, open_keys, reading, watched};

pub use parts::{OriginalKey, Strictness};

/// What a gateway is made of.
pub struct GatewayConfig {
    /// The control plane.
    pub plane: PlaneHandle,
    /// This instance's signing key.
    pub instance: SigningKey,
    /// The trust bundle.
    pub bundle: Arc<PinnedBundle>,
    /// The fragment managers.
    pub links: Links,
    /// The customer fragments.
    pub fragments: Arc<CustomerFragments>,
    /// Time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// Seconds an opened key stays in memory; 0: never.
    pub key_cache_seconds: i64,
    /// How reads are answered without asking control; needs a directory.
    pub cache: CacheSettings,
    /// What the copy on disk of what may be read while control is not reached is sealed under;
    /// `None`: there is none.
    pub copy_key: Option<CopyKey>,
    /// Values that are wrapped anew in a second, at most, after a rotation; `None`: this gateway
    /// leaves that to others.
    pub rewraps_per_second: Option<NonZeroU32>,
    /// Directory for the little a gateway keeps: values that wait for confirmation, evidence
    /// against managers. Without it, no evidence is kept and writes need all managers.
    pub home: Option<PathBuf>,
    /// What it refuses beyond what it must.
    pub strict: Strictness,
    /// How it reaches targets to remove temporary credentials whose time is over, and to change
    /// those that rotate; `None`: it leaves that to others.
    pub removes: Option<keysherd_engines::Way>,
    /// Whether it does that now.
    pub duty: Duty,
}

/// How a gateway and its managers are, for `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayHealth {
    /// Each manager.
    pub managers: Vec<(ManagerIndex, ManagerHealth)>,
    /// Values that wait for the confirmation of a manager.
    pub unconfirmed: usize,
    /// Files with evidence against managers.
    pub evidence: usize,
    /// Managers whose logs are not what they were.
    pub logs: Vec<(ManagerIndex, LogFinding)>,
    /// Reads that are answered without control; `None`: none are.
    pub cache: Option<CacheHealth>,
}

/// The gateway's cryptography.
pub struct Gateway {
    reader: Arc<Reader>,
    writer: Writer,
    transit: Transit,
    keys: KeyGenerator,
    managers: Arc<Managers>,
    cache: Arc<KeyCache>,
    reads: Option<Arc<ReadCache>>,
    plane: PlaneHandle,
    incidents: Arc<Incidents>,
    confirming: Option<Arc<Confirming>>,
    rewrapper: Option<Rewrapper>,
    on_targets: OnTargets,
}

impl Gateway {
    /// Starts the gateway's batchers on the current runtime.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn start(config: GatewayConfig) -> Result<Self, Fault> {
        let GatewayConfig { clock, rng, home, strict, .. } = &config;
        let (clock, rng, home, strict) = (clock.clone(), rng.clone(), home.clone(), *strict);
        let (reads, plane) = open_cache(&config)?;
        let open = |home| Spool::open(home, &*rng).map(Arc::new);
        let spool = home.as_deref().map(open).transpose()?;
        let incidents = Arc::new(Incidents::new(home.as_deref(), plane.clone(), clock.clone()));
        let unconfirmed = spool.is_some() && !strict.writes;
        let cache = open_keys(&config)?;
        let (instance, bundle, links) = (config.instance, config.bundle, config.links);
        let managers = watched(Managers::new(instance, bundle, links), home.as_deref());
        let derivations = Arc::new(Derivations::new(
            managers.clone(),
            plane.clone(),
            rng.clone(),
            config.fragments,
            incidents.clone(),
            unconfirmed,
        ));
        let tenants = Arc::new(Tenants::new());
        let batcher = || Batcher::start(plane.clone(), derivations.clone(), None);
        let keeping = |how| {
            let keep = reads.clone().map(|reads| (reads, how));
            Batcher::start(plane.clone(), derivations.clone(), keep)
        };
        let parts = ReaderParts {
            plane: plane.clone(),
            cold: keeping(Keeping::Answered),
            ahead: keeping(Keeping::Ahead),
            keys: cache.clone(),
            cache: reads.clone(),
            managers: managers.clone(),
            clock: clock.clone(),
            tenants: tenants.clone(),
            attested_only: strict.names,
        };
        let reader = reading(parts, &derivations);
        let writer =
            Writer::new(batcher(), cache.clone(), clock.clone(), rng.clone(), spool.clone());
        let transit = Transit::new(plane.clone(), batcher(), clock.clone(), rng.clone(), tenants)?;
        let shared = || (plane.clone(), derivations.clone(), rng.clone());
        let rewrapper = config.rewraps_per_second.map(|rate| Rewrapper::start(shared(), rate));
        let on_targets = OnTargets::start(shared(), &reader, config.removes, &config.duty);
        let confirming = spool.map(|spool| {
            Confirming::start(Confirming {
                spool,
                plane: plane.clone(),
                managers: managers.clone(),
                derivations: derivations.clone(),
                incidents: incidents.clone(),
                clock,
                rng: rng.clone(),
            })
        });
        let keys = KeyGenerator { managers: managers.clone(), derivations, rng };
        Ok(Self {
            reader,
            writer,
            transit,
            keys,
            managers,
            cache,
            reads,
            plane,
            incidents,
            confirming,
            rewrapper,
            on_targets,
        })
    }

    /// Has values confirmed that were written while a manager was missing, as far as that is
    /// possible now. The gateway does so by itself too.
    pub async fn confirm_pending(&self) -> Confirmed {
        match &self.confirming {
            Some(job) => job.go().await,
            None => Confirmed::default(),
        }
    }

    /// How this gateway and its managers are.
    pub fn health(&self) -> GatewayHealth {
        let known = |index| (index, self.managers.health.snapshot(index));
        let reads = self.reads.as_ref().filter(|reads| reads.answers());
        GatewayHealth {
            managers: self.managers.indexes().into_iter().map(known).collect(),
            unconfirmed: self.confirming.as_ref().map_or(0, |job| job.spool.len()),
            evidence: self.incidents.evidence(),
            logs: self.managers.logs.findings(),
            cache: reads.map(|reads| reads.health(self.cache_seconds_max())),
        }
    }

    /// Makes an account's original key. Returns the signed manifest.
    ///
    /// # Errors
    /// When a manager does not take part or does not agree.
    pub async fn make_original_key(&self, key: OriginalKey) -> Result<(Arc<[u8]>, u8), Fault> {
        let plan = KeyPlan {
            account: key.account,
            key_id: key.key_id,
            version: FIRST_VERSION,
            group: key.group,
            managers: key.managers,
            customer_fragment: None,
            permit: key.permit,
            self_test_salt: key.self_test_salt,
        };
        let MadeKey { manifest, threshold, .. } = self.keys.run(&plan, None).await?;
        Ok((manifest, threshold))
    }

    /// Goes on with a newer trust bundle and the ways to its managers. What was opened under the
    /// one before is forgotten.
    pub fn trust(&self, bundle: Arc<PinnedBundle>, links: Links) {
        self.cache.bound(bundle.bundle().cache_ttl_seconds_max);
        self.managers.trust(bundle, links);
        self.forget_keys();
        self.tell_of_late_ahead();
    }

    /// Says so where reads are to be read ahead, and are over before.
    fn tell_of_late_ahead(&self) {
        let seconds = self.cache_seconds_max();
        if self.reads.as_ref().is_some_and(|reads| reads.reads_ahead_too_late(seconds)) {
            tracing::warn!(
                seconds,
                "nothing is read ahead: the owner's trust bundle ends what is kept before that"
            );
        }
    }

    /// Forgets every opened key, also of what is under way; it is derived again for what comes
    /// next.
    pub fn forget_keys(&self) {
        self.cache.clear();
        self.transit.clear();
        self.reads.iter().for_each(|reads| reads.clear());
    }

    /// The way to control that everything has to take which may change anything: what is answered
    /// here without asking has to know of it.
    pub fn plane(&self) -> PlaneHandle {
        self.plane.clone()
    }

    /// Allows reads while control is not reached, in place of what was allowed before.
    pub fn allow_offline(&self, policies: HashMap<(Uid, AccessId), OfflinePolicy>) {
        if let Some(reads) = &self.reads {
            reads.allow_offline(policies);
        }
    }

    /// How reads are kept of accounts that set nothing else.
    pub fn cache_started_as(&self) -> CachePolicy {
        self.reads.as_ref().map(|reads| reads.started_as()).unwrap_or_default()
    }

    /// Keeps reads of these accounts so, and of others as it was started.
    pub fn cache_accounts_as(&self, policies: HashMap<Uid, CachePolicy>) {
        if self.reads.as_ref().is_some_and(|reads| reads.set(policies)) {
            self.forget_keys();
        }
        self.tell_of_late_ahead();
    }

    /// Waits until control has heard of every read that was answered here, at most `limit`. What
    /// it has not by then stays on disk.
    pub async fn drain(&self, limit: Duration) {
        if let Some(reads) = &self.reads {
            reads.drain(limit).await;
        }
    }

    /// Sends the cluster's endorsement of this instance along, from now on.
    pub fn endorse(&self, endorsement: Signed) {
        self.managers.endorsement.store(Some(Arc::new(endorsement)));
    }

    /// Asks a manager something that needs no permit, such as its status, or to pin a bundle.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it does not answer or refuses; the text names it.
    pub async fn ask_manager(
        &self,
        index: ManagerIndex,
        request: &ManagerRequest,
    ) -> Result<ManagerAnswer, Fault> {
        self.managers.ask(index, request).await.map_err(|failure| failure.fault(index))
    }

    /// The version of the trust bundle in force.
    pub fn bundle_version(&self) -> u64 {
        self.managers.bundle.load().version()
    }

    /// How many fragment managers there are links to.
    pub fn manager_count(&self) -> usize {
        self.managers.count()
    }
}

impl Crypt for Gateway {
    fn trust_domains(&self) -> usize {
        self.managers.bundle.load().bundle().trust_domains()
    }

    fn customer_fragments(&self) -> Vec<HeldFragment> {
        self.keys.derivations.fragments().list()
    }

    fn bring_order<'a>(
        &'a self,
        order: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<ManagerSaid<TakenOrder>>, Fault>> {
        Box::pin(async move {
            let said = orders::bring(&self.managers, order).await?;
            // What the owner freezes or destroys through this gateway ends here at once.
            if said.iter().any(|manager| manager.said.is_ok()) {
                self.forget_keys();
            }
            Ok(said)
        })
    }

    fn key_reports(
        &self,
        keys: Vec<KeyVersion>,
    ) -> BoxFuture<'_, Vec<ManagerSaid<Vec<KeyReport>>>> {
        Box::pin(orders::reports(&self.managers, keys))
    }

    fn read<'a>(
        &'a self,
        ctx: &'a Ctx,
        items: Vec<ItemRef>,
        version: VersionWish,
        freshness: Freshness,
    ) -> BoxFuture<'a, Result<Vec<OpenedItem>, Fault>> {
        Box::pin(self.reader.read(ctx, items, version, freshness))
    }

    fn open<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: ItemRef,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<OpenedForUse, Fault>> {
        Box::pin(self.reader.open(ctx, item, purpose))
    }

    fn rotate_credentials<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: &'a ItemPath,
        reason: Reason,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(self.on_targets.rotating.rotate(ctx, (item, reason), &ctx.services().engines))
    }

    fn leases_due(&self) {
        self.on_targets.leases_due();
    }

    fn seal<'a>(
        &'a self,
        ctx: &'a Ctx,
        target: WriteTarget,
        plaintext: SecretBytes,
    ) -> BoxFuture<'a, Result<SealedWrite, Fault>> {
        Box::pin(self.writer.seal(ctx, target, plaintext))
    }

    fn recorded(&self, sealed: &SealedWrite) {
        if let Ok(envelope) = Envelope::parse(&sealed.value.ciphertext) {
            let commitment = envelope.payload_commitment();
            // Somebody may have written after it and been read already.
            let _newer = self.reader.seen().newest(sealed.uid, sealed.version, commitment);
        }
    }

    fn cache_default(&self) -> CachePolicy {
        self.cache_started_as()
    }

    fn cache_seconds_max(&self) -> u32 {
        self.managers.bundle.load().bundle().cache_ttl_seconds_max
    }

    fn cache_as(&self, account: AccountId, policy: CachePolicy) {
        if self.reads.as_ref().is_some_and(|reads| reads.set_one(account.0, policy)) {
            self.forget_keys();
        }
    }

    fn version_deleted(&self, item: Uid) {
        self.reader.seen().forget(item);
    }

    fn attest_name<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: ItemPath,
        new: &'a ItemPath,
    ) -> BoxFuture<'a, Option<(u32, NameTag)>> {
        Box::pin(self.reader.attest(ctx, item, new))
    }

    fn generate_key<'a>(
        &'a self,
        ctx: &'a Ctx,
        wish: KeyWish,
    ) -> BoxFuture<'a, Result<GeneratedKey, Fault>> {
        Box::pin(self.keys.generate(ctx, &self.writer, wish))
    }

    fn rotate_key<'a>(
        &'a self,
        ctx: &'a Ctx,
        wish: RotateWish,
    ) -> BoxFuture<'a, Result<KeyRotateReply, Fault>> {
        Box::pin(async move {
            let reply = self.keys.rotate(ctx, &self.writer, wish).await?;
            if let Some(rewrapper) = &self.rewrapper {
                rewrapper.wake();
            }
            Ok(reply)
        })
    }

    fn refresh_key<'a>(
        &'a self,
        ctx: &'a Ctx,
        key: RotatedKey,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.keys.refresh(ctx, key))
    }

    fn encrypt<'a>(
        &'a self,
        ctx: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>> {
        Box::pin(self.transit.encrypt(ctx, messages))
    }

    fn decrypt<'a>(
        &'a self,
        ctx: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>> {
        Box::pin(self.transit.decrypt(ctx, messages))
    }
}
