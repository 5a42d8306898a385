//! The configurations of a cluster: one document, sealed by a gateway, kept by control, opened by
//! each gateway of the cluster. Control and the fragment managers learn nothing of it.
//!
//! The document has a version. Whoever changes it names the version it was made from, so that two
//! changes at the same time cannot overwrite each other: the second one is made again on top of the
//! first, unless both are about the same configuration, which is a conflict.
//!
//! What a gateway kept for itself before it was in a cluster stays there until it is changed, or
//! the cluster has one of the same name.
//!
//! Control is not believed about the document: it has to be attested under this very cluster's
//! name, it is never an older one than is in force, and it says nothing about other accounts.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use keysherd_api::{Configs, Crypt, Ctx, Freshness, OpenedItem};
use keysherd_base::limits::VALUE_BYTES_MAX;
use keysherd_base::{AccountId, Fault, FaultKind, ItemPath, SecretBytes, Uid};
use keysherd_crypto::envelope::Envelope;
use keysherd_domain::cluster::config_path;
use keysherd_plane::clusters::ClusterConfigPut;
use keysherd_plane::grants::{ItemRef, VersionWish, WriteTarget};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use carry::{BringIn, BroughtIn, CARRIED_BYTES_MAX, CarriedConfig, Change, ChangeKind};

use crate::configs::{ConfigStore, Entry, changed_meanwhile, check_count, taken};
use crate::membership::{Joined, Membership};

mod carry;
mod served;
#[cfg(test)]
mod tests;

/// Most configurations of one cluster.
const CONFIGS_MAX: usize = 1_000;
/// How often a change is made again because of others.
const ATTEMPTS: usize = 8;
/// The format of the document.
const FORMAT: u32 = 1;
/// The pause after a document could not be read.
const RETRY: Duration = Duration::from_secs(2);

/// What is sealed.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    entries: Vec<Entry>,
}

/// A document that is in force, and which one it is.
#[derive(Default)]
struct InForce {
    /// The cluster's number and the version; 0: there is no document.
    of: Option<(i64, u32)>,
    document: Document,
}

/// The configurations of this gateway's cluster.
pub struct ClusterConfigs {
    local: Arc<ConfigStore>,
    membership: Arc<Membership>,
    crypt: Arc<dyn Crypt>,
    in_force: RwLock<Arc<InForce>>,
    edits: tokio::sync::Mutex<()>,
    news: watch::Sender<()>,
}

impl ClusterConfigs {
    /// Follows the cluster's document for as long as this is held. Call it on the runtime that
    /// serves. `local` has what was configured before.
    pub fn start(
        local: Arc<ConfigStore>,
        membership: Arc<Membership>,
        crypt: Arc<dyn Crypt>,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            local,
            membership,
            crypt,
            in_force: RwLock::default(),
            edits: tokio::sync::Mutex::default(),
            news: watch::Sender::new(()),
        });
        tokio::spawn(Self::follow(Arc::downgrade(&this), this.membership.news()));
        this
    }

    async fn follow(this: Weak<Self>, mut news: watch::Receiver<Option<Joined>>) {
        loop {
            let joined = *news.borrow_and_update();
            let Some(configs) = this.upgrade() else { return };
            let outcome = match joined {
                Some(joined) => configs.catch_up(joined).await,
                None => Ok(()),
            };
            drop(configs);
            match outcome {
                Ok(()) => {
                    if news.changed().await.is_err() {
                        return;
                    }
                }
                Err(fault) => {
                    tracing::error!(
                        ?fault,
                        "the cluster's configuration cannot be read; trying on"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Brings what is in force up to what control has.
    async fn catch_up(&self, joined: Joined) -> Result<(), Fault> {
        if self.in_force().of == Some((joined.cluster, joined.version)) {
            return Ok(());
        }
        if joined.version == 0 {
            self.install(InForce { of: Some((joined.cluster, 0)), ..InForce::default() });
            return Ok(());
        }
        self.load(joined.cluster).await
    }

    /// What the document is attested under.
    fn path(&self) -> Result<ItemPath, Fault> {
        Ok(config_path(self.membership.access_id(), self.membership.name())?)
    }

    async fn load(&self, cluster: i64) -> Result<(), Fault> {
        let ctx = self.membership.ctx("gateway-read-config").await?;
        let (version, document) = self.fetch(&ctx, cluster, &self.path()?).await?;
        if self.install(InForce { of: Some((cluster, version)), document }) {
            tracing::info!(version, "the cluster's configuration is in force");
        }
        self.supersede().await;
        Ok(())
    }

    /// The newest document of a cluster that is attested under `path`, and its version.
    async fn fetch(
        &self,
        ctx: &Ctx,
        cluster: i64,
        path: &ItemPath,
    ) -> Result<(u32, Document), Fault> {
        let items = vec![ItemRef::GatewayCluster(cluster)];
        let opened = self.crypt.read(ctx, items, VersionWish::Latest, Freshness::Asked).await?;
        let account = self.membership.joined().ok_or_else(|| not_joined(&self.membership))?.account;
        read(opened, account, path)
    }

    /// Forgets what this gateway kept for itself under names that the cluster has: it would be in
    /// force again when the cluster's is gone, though nobody wants it any more.
    async fn supersede(&self) {
        for Entry { account, kind, name, .. } in &self.in_force().document.entries {
            match self.local.remove(*account, kind, name).await {
                Ok(false) => {}
                Ok(true) => tracing::warn!(
                    kind,
                    name,
                    "the cluster has a configuration of this name; this gateway's own is forgotten"
                ),
                Err(fault) => tracing::error!(?fault, "a configuration cannot be forgotten"),
            }
        }
    }

    fn in_force(&self) -> Arc<InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts it in force, unless a newer one of the same cluster is; whether it did. A cluster's
    /// versions only ascend, so control has lost one then, or says so.
    fn install(&self, new: InForce) -> bool {
        let mut now = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some((cluster, said)), Some((known, version))) = (new.of, now.of)
            && cluster == known
            && said < version
        {
            tracing::warn!(
                said,
                version,
                "control knows only an older configuration of the cluster than this gateway; what \
                 is in force stays"
            );
            return false;
        }
        *now = Arc::new(new);
        drop(now);
        self.news.send_replace(());
        true
    }

    /// What is in force, in the version that control has.
    async fn current(&self) -> Result<(i64, u32, Arc<InForce>), Fault> {
        let joined = self.membership.joined().ok_or_else(|| not_joined(&self.membership))?;
        self.catch_up(joined).await?;
        let now = self.in_force();
        // `catch_up` may have found a newer one than it was told of.
        let (cluster, version) = now.of.ok_or_else(|| not_joined(&self.membership))?;
        Ok((cluster, version, now))
    }

    /// Changes the document by `edit`, of which `about` says whether an entry is its concern.
    async fn change(
        &self,
        about: impl Fn(&Entry) -> bool,
        edit: impl Fn(&mut Vec<Entry>) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let _turn = self.edits.lock().await;
        let mut before: Option<Vec<Entry>> = None;
        for _ in 0..ATTEMPTS {
            let (cluster, version, base) = self.current().await?;
            let concerned: Vec<Entry> =
                base.document.entries.iter().filter(|entry| about(entry)).cloned().collect();
            if before.as_ref().is_some_and(|before| *before != concerned) {
                return Err(changed_meanwhile());
            }
            let mut entries = base.document.entries.clone();
            if !edit(&mut entries)? {
                return Ok(false);
            }
            match self.store((cluster, version), entries, None).await {
                Ok(()) => return Ok(true),
                Err(fault) if fault.kind() == FaultKind::Conflict => {
                    before = Some(concerned);
                    self.load_newest(cluster).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::unavailable("the cluster's configuration changes all the time; try again"))
    }

    /// After a conflict: whatever control has now.
    async fn load_newest(&self, cluster: i64) -> Result<(), Fault> {
        match self.load(cluster).await {
            Err(fault) if fault.kind() == FaultKind::NotFound => Err(Fault::unavailable(
                "control has no configuration of this cluster any more: either it was deleted, \
                 and this gateway registers again by itself, or control was set back, and this \
                 gateway has to be started again",
            )),
            other => other,
        }
    }

    /// Has control keep `entries` as the version after `replaces`, under another key if one is
    /// named, and puts them in force.
    async fn store(
        &self,
        (cluster, replaces): (i64, u32),
        entries: Vec<Entry>,
        key: Option<ItemPath>,
    ) -> Result<(), Fault> {
        let document = Document { format: FORMAT, entries };
        let text = SecretBytes::new(serde_json::to_vec(&document).map_err(Fault::internal)?);
        if text.expose().len() > VALUE_BYTES_MAX {
            return Err(Fault::bad_request(format!(
                "the configuration of the cluster would be longer than {VALUE_BYTES_MAX} bytes; \
                 delete what is not needed"
            )));
        }
        let ctx = self.membership.ctx("gateway-update-config").await?;
        let path = self.path()?;
        let target = WriteTarget::GatewayCluster { cluster, path, replaces, key: key.clone() };
        let sealed = self.crypt.seal(&ctx, target, text).await?;
        let version = sealed.version;
        let put = ClusterConfigPut { cluster, version, value: sealed.value.clone(), key };
        ctx.ask(put).await?;
        self.crypt.recorded(&sealed);
        self.install(InForce { of: Some((cluster, version)), document });
        self.supersede().await;
        Ok(())
    }

    /// Seals the document anew, under another key if one is named. Once, on top of what control
    /// has: whoever wants another key has to know what they seal.
    async fn sealed_anew(&self, key: Option<ItemPath>) -> Result<u32, Fault> {
        let _turn = self.edits.lock().await;
        let (cluster, version, base) = self.current().await?;
        let entries = base.document.entries.clone();
        match self.store((cluster, version), entries, key).await {
            Ok(()) => Ok(version.saturating_add(1)),
            Err(fault) if fault.kind() == FaultKind::Conflict => {
                self.load_newest(cluster).await?;
                Err(fault)
            }
            Err(fault) => Err(fault),
        }
    }

    /// What is found in the document, else what this gateway kept for itself; unavailable while
    /// neither is known.
    fn found<T>(
        &self,
        pick: impl Fn(&Entry) -> Option<T>,
        local: Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        let now = self.in_force();
        let shared = now.document.entries.iter().find_map(pick);
        match (shared, local?) {
            (Some(found), _) | (None, Some(found)) => Ok(Some(found)),
            (None, None) if now.of.is_none() => Err(not_joined(&self.membership)),
            (None, None) => Ok(None),
        }
    }
}

/// The document and its version, from what control gave, if it is that of `account` and attested
/// under `path`. Nothing of what was opened goes into a fault: it may be anything of the account.
fn read(
    opened: Vec<OpenedItem>,
    account: AccountId,
    path: &ItemPath,
) -> Result<(u32, Document), Fault> {
    let foreign = || {
        Fault::unavailable(
            "control gave something as the cluster's configuration that no gateway of the cluster \
             has sealed as such; what is in force stays",
        )
    };
    let item = opened.into_iter().next().ok_or_else(foreign)?;
    let value = item.values.into_iter().next().ok_or_else(foreign)?;
    let envelope = item.item.versions.first().ok_or_else(foreign)?;
    let envelope = Envelope::parse(&envelope.ciphertext).map_err(|_| foreign())?;
    let is_ours = AccountId(Uid(envelope.header().account)) == account && item.item.path == *path;
    if !is_ours || value.name_attested != Some(true) {
        return Err(foreign());
    }
    let document: Result<Document, _> = serde_json::from_slice(value.value.expose());
    let mut document = document.map_err(|_| {
        Fault::unavailable(
            "the cluster's configuration is not in the form that this program knows; use the \
             newer program",
        )
    })?;
    if document.format != FORMAT {
        return Err(Fault::unavailable(format!(
            "the cluster's configuration has format {}, and this program knows {FORMAT}; use \
             the newer program",
            document.format
        )));
    }
    let all = document.entries.len();
    document.entries.retain(|entry| entry.account == account);
    let foreign = all - document.entries.len();
    if foreign > 0 {
        tracing::error!(
            foreign,
            "entries of other accounts in the cluster's configuration are nothing"
        );
    }
    Ok((value.version, document))
}

fn not_joined(membership: &Membership) -> Fault {
    let health = membership.health();
    let why = health.problem.unwrap_or_else(|| "it has only just started".to_owned());
    Fault::unavailable(format!(
        "this gateway does not have the configuration of its cluster {}: {why}",
        health.name
    ))
}

/// Puts `new` into `entries`, in the place of the one called `replaces`.
fn put(entries: &mut Vec<Entry>, new: &Entry, replaces: Option<&str>) -> Result<(), Fault> {
    let is = |entry: &Entry, name: &str| entry.is(new.account, &new.kind, name);
    if replaces != Some(&new.name) && entries.iter().any(|entry| is(entry, &new.name)) {
        return Err(taken(&new.kind, &new.name));
    }
    match replaces {
        Some(old) => entries.retain(|entry| !is(entry, old)),
        None => check_count(entries.iter(), new)?,
    }
    if entries.len() >= CONFIGS_MAX {
        return Err(Fault::bad_request(format!(
            "this cluster has {CONFIGS_MAX} configurations, which is the most; delete one"
        )));
    }
    entries.push(new.clone());
    Ok(())
}
