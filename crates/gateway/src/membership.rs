//! This gateway as a member of its cluster: signs in as itself, tells control that it is there, and
//! hears what is new for the cluster.
//!
//! One question at a time goes out over the link that all others use; control holds it for a
//! second, or answers when there is news. Nobody ever connects to a gateway for this.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use keysherd_api::commands::{OwnCredential, sign_in};
use keysherd_api::{Ctx, HeldFragment, Services};
use keysherd_base::{AccessId, AccountId, Fault, FaultKind, ItemPath, Timestamp, Uid};
use keysherd_domain::cluster::FragmentNote;
use keysherd_plane::clusters::{ClusterSync, ClusterSyncReply, LeaseRelease};
use keysherd_plane::{Caller, Client};
use tokio::sync::watch;

use crate::leases::Leases;

#[cfg(test)]
mod tests;

/// The client type of gateways themselves: an auth method with this one among its allowed client
/// types and no other is good for gateways only.
pub const CLIENT_TYPE: &str = "gateway-admin";
/// How long control may hold a question.
const WAIT_MILLIS: u32 = 1_000;
/// How long an answer may take before control counts as gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// How long giving back a lease may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after the first failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause while control does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The longest pause while control refuses this gateway. Each refusal is an audit record.
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A control plane that always has news is not asked more often than this.
const NEWS_PAUSE: Duration = Duration::from_millis(20);

/// What a gateway joins its cluster with.
pub struct MembershipConfig {
    /// The way to control, and what signing in takes.
    pub services: Arc<Services>,
    /// The auth method of the cluster.
    pub access_id: AccessId,
    /// What proves it.
    pub credential: OwnCredential,
    /// Where this gateway's questions come from, for bound addresses of its method.
    pub address: IpAddr,
    /// Name of the cluster.
    pub name: String,
    /// What people call it, if the cluster is new.
    pub display_name: Option<String>,
    /// Where clients find the cluster.
    pub url: Option<String>,
    /// The key for the configuration of a cluster that is new.
    pub protection_key: Option<ItemPath>,
    /// The machine.
    pub host: String,
    /// The program's version.
    pub program: String,
}

/// How a membership is, for `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipHealth {
    /// The cluster's name, with its account once that is known.
    pub name: String,
    /// Whether control answered the last question.
    pub connected: bool,
    /// When it did last.
    pub last_answer: Option<Timestamp>,
    /// Why it does not.
    pub problem: Option<String>,
    /// The version of the cluster's configuration that control has; 0: none.
    pub config_version: u32,
    /// What it does alone in its cluster now, each with the number of its lease.
    pub leases: Vec<(&'static str, u64)>,
}

/// A gateway in its cluster.
pub struct Membership {
    config: MembershipConfig,
    state: Mutex<State>,
    token: tokio::sync::Mutex<Option<Token>>,
    joined: watch::Sender<Option<Joined>>,
    /// What tells this process from every other one, the next start included.
    process: Uid,
    leases: Leases,
}

/// A token of this gateway.
#[derive(Clone)]
struct Token {
    text: Arc<str>,
    /// When another one is wanted: half way to the end.
    renew: Timestamp,
}

/// The cluster that a gateway is in, and what control said of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The account.
    pub account: AccountId,
    /// The cluster's number.
    pub cluster: i64,
    /// The version of its configuration; 0: it has none.
    pub version: u32,
}

#[derive(Default)]
struct State {
    last_answer: Option<Timestamp>,
    problem: Option<String>,
}

impl Membership {
    /// Joins the cluster, and goes on for as long as the membership is held. Call it on the runtime
    /// that serves.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn start(config: MembershipConfig) -> Result<Arc<Self>, Fault> {
        let process = Uid::random(&*config.services.rng)?;
        let this = Arc::new(Self {
            process,
            leases: Leases::new(config.services.clock.clone()),
            config,
            state: Mutex::default(),
            token: tokio::sync::Mutex::default(),
            joined: watch::Sender::new(None),
        });
        tokio::spawn(Self::run(Arc::downgrade(&this)));
        Ok(this)
    }

    /// How it is.
    pub fn health(&self) -> MembershipHealth {
        let joined = self.joined();
        let state = self.state();
        let account = joined.map(|joined| joined.account.to_string());
        let MembershipConfig { access_id, name, .. } = &self.config;
        MembershipHealth {
            name: match account {
                Some(account) => format!("{account}/{access_id}/{name}"),
                None => format!("{access_id}/{name}"),
            },
            connected: state.problem.is_none() && state.last_answer.is_some(),
            last_answer: state.last_answer,
            problem: state.problem.clone(),
            config_version: joined.map_or(0, |joined| joined.version),
            leases: self.leases.all_held(),
        }
    }

    /// The cluster, once it was joined.
    pub fn joined(&self) -> Option<Joined> {
        *self.joined.borrow()
    }

    /// Everything that is new about the cluster from now on.
    pub(crate) fn news(&self) -> watch::Receiver<Option<Joined>> {
        self.joined.subscribe()
    }

    /// The auth method of the cluster.
    pub fn access_id(&self) -> &AccessId {
        &self.config.access_id
    }

    /// The cluster's name.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// What this gateway does alone in its cluster.
    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What tells this process from every other one.
    pub(crate) fn process(&self) -> Uid {
        self.process
    }

    /// Gives back a lease that this gateway has under this number, so that nobody waits for its
    /// end. Whether that came through makes no difference to what is safe.
    pub(crate) async fn release(&self, lease: &'static str, fence: u64) {
        let Some(joined) = self.joined() else { return };
        let (cluster, process) = (joined.cluster, self.process);
        let release = LeaseRelease { cluster, process, lease: lease.to_owned(), fence };
        let asked = async { self.ctx("gateway-release").await?.ask(release).await };
        if let Ok(Err(fault)) = tokio::time::timeout(RELEASE_TIMEOUT, asked).await {
            tracing::info!(?fault, lease, "a lease is not given back; it ends by itself");
        }
    }

    /// Gives back all that it has, before this gateway ends.
    pub(crate) async fn retire(&self) {
        for (lease, fence) in self.leases.give_up_all() {
            self.release(lease, fence).await;
        }
    }

    /// The context of a request that this gateway makes as itself.
    ///
    /// # Errors
    /// When it cannot sign in.
    pub async fn ctx(&self, command: &str) -> Result<Ctx, Fault> {
        let token = self.token().await?;
        self.ctx_with(Some(token), command)
    }

    fn ctx_with(&self, token: Option<Arc<str>>, command: &str) -> Result<Ctx, Fault> {
        let services = &self.config.services;
        let caller = Caller {
            token,
            client: Client { address: self.config.address, kind: CLIENT_TYPE.into() },
            command: command.into(),
            request: Uid::random(&*services.rng)?,
            received: services.clock.now(),
        };
        Ok(Ctx::new(services.clone(), caller))
    }

    /// A token that is good for a while.
    async fn token(&self) -> Result<Arc<str>, Fault> {
        let mut kept = self.token.lock().await;
        let now = self.config.services.clock.now();
        if let Some(token) = kept.as_ref().filter(|token| now < token.renew) {
            return Ok(token.text.clone());
        }
        let ctx = self.ctx_with(None, "auth")?;
        let reply = sign_in(&ctx, &self.config.access_id, &self.config.credential).await?;
        let life = reply.expires.millis_since(now).max(0);
        let text: Arc<str> = reply.token.into();
        *kept =
            Some(Token { text: text.clone(), renew: Timestamp(now.0.saturating_add(life / 2)) });
        Ok(text)
    }

    async fn run(this: Weak<Self>) {
        let mut failures = 0;
        loop {
            let Some(member) = this.upgrade() else { return };
            let pause = match member.ask().await {
                Ok(news) => {
                    failures = 0;
                    if news { NEWS_PAUSE } else { Duration::ZERO }
                }
                Err(fault) => {
                    failures += 1;
                    member.failed(&fault).await;
                    pause_after(failures, fault.kind())
                }
            };
            drop(member);
            tokio::time::sleep(pause).await;
        }
    }

    /// One question; whether its answer was news.
    async fn ask(&self) -> Result<bool, Fault> {
        let ctx = self.ctx("gateway-sync").await?;
        let config = &self.config;
        let fragments = config.services.crypt.customer_fragments();
        let joined = self.joined();
        let known = joined.map_or(0, |joined| joined.version);
        let message = ClusterSync {
            name: config.name.clone(),
            display_name: config.display_name.clone(),
            url: config.url.clone(),
            protection_key: config.protection_key.clone(),
            host: config.host.clone(),
            program: config.program.clone(),
            fragments: fragments.into_iter().map(told).collect(),
            known,
            // The first answer shows that all is well, so it is not waited for.
            wait_millis: if joined.is_some() { WAIT_MILLIS } else { 0 },
            process: self.process,
            leases: self.leases.wishes(),
        };
        let sent = self.leases.moment();
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, ctx.ask(message)).await;
        let reply = asked.map_err(|_| {
            Fault::new(FaultKind::Unavailable, "the control plane does not answer in time")
        })??;
        self.leases.heard(sent, &reply.leases);
        self.heard(&reply);
        Ok(reply.version != known)
    }

    fn heard(&self, reply: &ClusterSyncReply) {
        let now = self.config.services.clock.now();
        let ClusterSyncReply { account, cluster, version, .. } = *reply;
        let joined = Joined { account, cluster, version };
        let before = self.joined().map(|before| before.cluster);
        self.joined.send_if_modified(|known| known.replace(joined) != Some(joined));
        let mut state = self.state();
        if before != Some(cluster) || state.problem.is_some() {
            let cluster = format!("{}/{}/{}", reply.account, reply.access_id, self.config.name);
            tracing::info!(cluster, "this gateway is in its cluster");
        }
        state.last_answer = Some(now);
        state.problem = None;
    }

    async fn failed(&self, fault: &Fault) {
        if fault.kind() == FaultKind::Unauthorized {
            *self.token.lock().await = None;
        }
        let mut state = self.state();
        let problem = fault.public().to_owned();
        if state.problem.as_ref() != Some(&problem) {
            tracing::warn!(problem, "this gateway is not in its cluster; trying on");
        }
        state.problem = Some(problem);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a broken holder left is a state all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause_after(failures: u32, kind: FaultKind) -> Duration {
    let most = match kind {
        FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Conflict => PAUSE_MAX,
        _ => REFUSED_PAUSE_MAX,
    };
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

fn told(held: HeldFragment) -> FragmentNote {
    FragmentNote {
        id: keysherd_fragments::fragment_file::id_text(&held.id),
        name: held.name,
        description: held.description,
        fingerprint: held.fingerprint.unwrap_or_default(),
    }
}
