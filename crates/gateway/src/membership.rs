//! This gateway as a member of its cluster: signs in as itself, tells control that it is there, and
//! hears what is new for the cluster.
//!
//! One question at a time goes out over the link that all others use; control holds it for a
//! second, or answers when there is news. Nobody ever connects to a gateway for this.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use keysherd_api::commands::{OwnCredential, sign_in};
use keysherd_api::{Ctx, HeldFragment, Services, Standing};
use keysherd_base::{
    AccessId, AccountId, Fault, FaultKind, ItemPath, SecretString, Timestamp, Uid,
};
use keysherd_domain::cluster::FragmentNote;
use keysherd_plane::clusters::{ClusterSync, ClusterSyncReply, LeaseRelease};
use keysherd_plane::{BoxFuture, Caller, Client};
use tokio::sync::watch;

use self::standby::Standby;
use crate::duty::Duty;
use crate::leases::Leases;

mod own_uid;
mod standby;
#[cfg(test)]
mod tests;

pub use own_uid::{OwnUid, OwnUidSettings, ROTATE_EVERY, RequestsUnder};

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

/// What proves that a gateway may sign in by the auth method of its cluster.
pub enum Proof {
    /// The same thing each time.
    Credential(OwnCredential),
    /// A universal identity, which it rotates.
    Uid(OwnUid),
}

/// What a gateway joins its cluster with.
pub struct MembershipConfig {
    /// The way to control, and what signing in takes.
    pub services: Arc<Services>,
    /// The auth method of the cluster.
    pub access_id: AccessId,
    /// What proves it.
    pub proof: Proof,
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
    /// Whether it is on standby until it is promoted.
    pub standby: bool,
    /// What follows whether it is on standby now.
    pub duty: Duty,
    /// The gateway's own directory.
    pub home: PathBuf,
}

/// How a membership is, for `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipHealth {
    /// The cluster's name, with its account once that is known. For the account's people only.
    pub name: String,
    /// The last part of it, which is nobody's secret.
    pub short_name: String,
    /// Whether control answered the last question.
    pub connected: bool,
    /// When it did last.
    pub last_answer: Option<Timestamp>,
    /// Why it does not, as control says. For the account's people only.
    pub problem: Option<String>,
    /// The same in words that are nobody's secret.
    pub problem_kind: Option<&'static str>,
    /// The version of the cluster's configuration that control has; 0: none.
    pub config_version: u32,
    /// Whether it is ready to be sent requests, as far as that is about standby.
    pub active: bool,
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
    standby: Standby,
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
    problem: Option<(FaultKind, String)>,
}

/// What everybody may be told of a problem.
const fn in_short(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Internal => {
            "control does not answer"
        }
        _ => "control refuses; this gateway's log says why",
    }
}

impl Membership {
    /// Joins the cluster, and goes on for as long as the membership is held. Call it on the runtime
    /// that serves.
    ///
    /// # Errors
    /// When the random source fails, or the gateway's own directory cannot be used.
    pub fn start(config: MembershipConfig) -> Result<Arc<Self>, Fault> {
        let process = Uid::random(&*config.services.rng)?;
        let standby = Standby::open(config.standby, config.home.clone())?;
        let leases = Leases::new(config.services.clock.clone(), config.duty.clone());
        if standby.is_active() {
            leases.work();
        } else {
            tracing::info!("this gateway is on standby until it is promoted (gateway-promote)");
            leases.rest();
        }
        let this = Arc::new(Self {
            process,
            leases,
            standby,
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
            short_name: name.clone(),
            connected: state.problem.is_none() && state.last_answer.is_some(),
            last_answer: state.last_answer,
            problem: state.problem.as_ref().map(|(_, text)| text.clone()),
            problem_kind: state.problem.as_ref().map(|(kind, _)| in_short(*kind)),
            config_version: joined.map_or(0, |joined| joined.version),
            active: self.is_active(),
            leases: self.leases.all_held(),
        }
    }

    /// The cluster, once it was joined.
    pub fn joined(&self) -> Option<Joined> {
        *self.joined.borrow()
    }

    /// Whether it is not on standby.
    pub fn is_active(&self) -> bool {
        self.standby.is_active()
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
    pub fn name(&self) -> &str {
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

    /// Gives back all that it has, and takes nothing any more, before this gateway ends.
    pub(crate) async fn retire(&self) {
        for (lease, fence) in self.leases.rest() {
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
        let (reply, most) = match &self.config.proof {
            Proof::Credential(credential) => {
                let ctx = self.ctx_with(None, "auth")?;
                (sign_in(&ctx, &self.config.access_id, credential).await?, None)
            }
            // Rotated each time that it signs in.
            Proof::Uid(uid) => {
                let under = |token: &SecretString, command: &str| {
                    self.ctx_with(Some(token.expose().as_str().into()), command)
                };
                (uid.sign_in(&under, now).await?, Some(uid.rotate_every()))
            }
        };
        let half = reply.expires.millis_since(now).max(0) / 2;
        let most =
            most.map_or(i64::MAX, |most| i64::try_from(most.as_millis()).unwrap_or(i64::MAX));
        let text: Arc<str> = reply.token.into();
        let renew = Timestamp(now.0.saturating_add(half.min(most)));
        *kept = Some(Token { text: text.clone(), renew });
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
        if reply.access_id != config.access_id {
            return Err(Fault::forbidden(format!(
                "the credential is that of {}, not of --gateway-access-id {}",
                reply.access_id, config.access_id
            )));
        }
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
        let problem = (fault.kind(), fault.public().to_owned());
        if state.problem.as_ref() != Some(&problem) {
            tracing::warn!(problem = problem.1, "this gateway is not in its cluster; trying on");
        }
        state.problem = Some(problem);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a broken holder left is a state all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing for Membership {
    fn set_active(&self, account: AccountId, active: bool) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let joined = self.joined().ok_or_else(|| {
                Fault::unavailable("this gateway has not joined its cluster yet; try again")
            })?;
            if joined.account != account {
                return Err(Fault::forbidden("this gateway is in a cluster of another account"));
            }
            let Some(given_back) = self.standby.change(active, &self.leases)? else {
                return Ok(());
            };
            tracing::warn!(active, "this gateway's standby was changed");
            for (lease, fence) in given_back {
                self.release(lease, fence).await;
            }
            Ok(())
        })
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
