//! The certificate that clients see: where it comes from, and its exchange while serving.
//!
//! There is one source at a time: the operator's files; else what administrators of the cluster
//! set; else one that the gateway makes itself. A new pair that cannot be used is refused with its
//! reason and the one in force stays.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use keysherd_api::{CERTIFICATE_CONFIG, CertificateWish, Configs, PublicCertificate};
use keysherd_base::{AccessId, AccountId, ClockHandle, Fault, RngHandle, SecretString, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::pki::{certificate_validity_der, certificates_of_pem};
use keysherd_gateway::Membership;
use keysherd_http::{ClientCertificates, TlsReload};
use serde_json::{Value, json};

use super::files::DataDir;
use super::tls::{LocalAuthority, Pair};
use crate::config::tls::{ClientAuthority, PairFiles, TlsSettings};
use crate::customer_fragments::source::read_file;
use crate::exit::Exit;

mod expiry;
mod remembered;
mod shown;
mod stamp;
#[cfg(test)]
mod tests;

pub(crate) use shown::Shown;

use expiry::Warnings;
use stamp::Stamp;

/// How often sources are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts to renew what the gateway makes itself.
const RENEWAL_PAUSE_SECONDS: i64 = 3_600;
/// Largest file of certificates.
const CERTIFICATES_BYTES_MAX: u64 = 64 * 1024;

/// The certificate of one listener.
pub(crate) struct Certificate {
    tls: TlsReload,
    files: Option<PairFiles>,
    clients: Option<ClientAuthority>,
    own: LocalAuthority,
    clock: ClockHandle,
    rng: RngHandle,
    cluster: OnceLock<Cluster>,
    /// What administrators set could not be read when it was looked at last.
    unread: AtomicBool,
    /// The digest of what was to be remembered for the next start, and whether it is; `None`: not
    /// looked at yet.
    last_wish: Mutex<Option<(Option<[u8; 32]>, bool)>>,
    state: Mutex<State>,
}

/// The cluster whose administrators may set the certificate.
struct Cluster {
    configs: Arc<dyn Configs>,
    membership: Arc<Membership>,
}

/// Where a pair comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Files,
    Cluster,
    Acme,
    Own,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Cluster => "cluster",
            Self::Acme => "acme",
            Self::Own => "own",
        }
    }
}

/// A pair that was read and found good.
struct Loaded {
    pair: Pair,
    clients: ClientCertificates,
    in_force: InForce,
    warn_days: Vec<u32>,
}

/// What clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InForce {
    source: Source,
    not_before: Timestamp,
    /// The first end in the chain.
    not_after: Timestamp,
    /// The digest of the chain.
    chain: [u8; 32],
}

struct State {
    in_force: InForce,
    /// What was tried last, with success or not.
    tried: Stamp,
    /// What the last look found: files are taken up when two looks find the same, so that not every
    /// exchange of two files is first seen half done.
    seen: Option<Stamp>,
    /// Why what was tried last is not in force.
    problem: Option<String>,
    /// From when on it can be, where that is the only reason.
    begins: Option<Timestamp>,
    warnings: Warnings,
    /// Before that there is no further attempt to renew it.
    next_renewal: Timestamp,
}

impl Certificate {
    /// Reads the files of `settings`, or opens or makes one in `dir` for `names`.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when the files cannot be used. One that expired is used all the
    /// same: clients that insist refuse it, and others have what they had.
    pub(crate) fn open(
        settings: &TlsSettings,
        (dir, names): (DataDir, Vec<String>),
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Arc<Self>, Exit> {
        let own = LocalAuthority::new(dir, names, settings.acme.is_some());
        let TlsSettings { files, clients, versions, .. } = settings.clone();
        let tried = Stamp::of(files.as_ref(), clients.as_ref(), None);
        let sources = Sources { files: files.as_ref(), clients: clients.as_ref(), own: &own };
        let loaded = sources.load(None, &clock, &rng)?;
        let wrong = |fault: Fault| Exit::Configuration(described(&fault));
        let (chain, key) = (loaded.pair.chain.as_bytes(), loaded.pair.key.expose().as_bytes());
        let tls = TlsReload::from_pem(chain, key, versions).map_err(wrong)?;
        tls.replace_all(chain, key, loaded.clients).map_err(wrong)?;
        let state = State {
            in_force: loaded.in_force,
            tried,
            seen: None,
            problem: None,
            begins: None,
            warnings: Warnings::new(loaded.warn_days),
            next_renewal: clock.now(),
        };
        let state = Mutex::new(state);
        let (cluster, unread) = (OnceLock::new(), AtomicBool::new(false));
        let last_wish = Mutex::default();
        Ok(Arc::new(Self {
            tls,
            files,
            clients,
            own,
            clock,
            rng,
            cluster,
            unread,
            last_wish,
            state,
        }))
    }

    /// What the listener serves with.
    pub(crate) fn tls(&self) -> TlsReload {
        self.tls.clone()
    }

    /// The file with the authority of the gateway's own certificate.
    pub(crate) fn ca_file(&self) -> String {
        self.own.ca_file()
    }

    /// From now on administrators of the cluster may set it. The first time counts.
    pub(crate) fn follow(&self, configs: Arc<dyn Configs>, membership: Arc<Membership>) {
        drop(self.cluster.set(Cluster { configs, membership }));
        self.look(true);
    }

    /// Looks at the sources from time to time, until the certificate is gone.
    pub(crate) async fn keep(this: Weak<Self>) {
        let mut turns = tokio::time::interval(INTERVAL);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let Some(certificate) = this.upgrade() else { return };
            // A panic is logged by the runtime, and the next look is another try.
            let _looked = tokio::task::spawn_blocking(move || certificate.look(false)).await;
        }
    }

    /// Takes up what the sources have now. `at_once`: whether or not it has settled, and also what
    /// could not be used before.
    pub(crate) fn look(&self, at_once: bool) {
        let wish = self.wish();
        let stamp = Stamp::of(self.files.as_ref(), self.clients.as_ref(), wish.as_ref());
        let now = self.clock.now();
        let mut state = self.state();
        let changed = stamp != state.tried && (at_once || state.seen.as_ref() == Some(&stamp));
        let again =
            at_once && state.problem.is_some() || state.begins.is_some_and(|begins| begins <= now);
        let renewal = state.in_force.source == Source::Own
            && state.in_force.not_after <= super::tls::renewal(now)
            && state.next_renewal <= now;
        state.seen = Some(stamp.clone());
        if changed || again || renewal {
            state.tried = stamp;
            state.next_renewal = now.plus_seconds(RENEWAL_PAUSE_SECONDS);
            self.take_up(&mut state, wish);
        }
        let InForce { source, not_after, .. } = state.in_force;
        // It renews what it makes itself.
        if source != Source::Own {
            state.warnings.warn(now, not_after);
        }
    }

    /// Takes up what an authority has issued to the gateway itself.
    pub(crate) fn obtained(&self) {
        let wish = self.wish();
        self.take_up(&mut self.state(), wish);
    }

    fn take_up(&self, state: &mut State, wish: Option<SecretString>) {
        let now = self.clock.now();
        let sources =
            Sources { files: self.files.as_ref(), clients: self.clients.as_ref(), own: &self.own };
        let taken = sources.load(wish, &self.clock, &self.rng).map_err(|exit| match exit {
            Exit::Configuration(text) => text,
            other => other.to_string(),
        });
        state.begins = None;
        let taken = taken.and_then(|loaded| {
            // The one in force is served with also when it has expired; who may come is up to date.
            if loaded.in_force.chain != state.in_force.chain
                && let Err(problem) = loaded.in_force.is_valid_at(now)
            {
                let begins = loaded.in_force.not_before;
                state.begins = (begins > now).then_some(begins);
                return Err(problem);
            }
            let Pair { chain, key } = &loaded.pair;
            let (chain, key) = (chain.as_bytes(), key.expose().as_bytes());
            let replaced = self.tls.replace_all(chain, key, loaded.clients);
            replaced.map_err(|fault| described(&fault))?;
            Ok((loaded.in_force, loaded.warn_days))
        });
        match taken {
            Ok((in_force, warn_days)) => {
                let source = in_force.source.name();
                let until = in_force.not_after.rfc3339();
                tracing::info!(source, until, "clients see a new certificate from now on");
                state.in_force = in_force;
                state.problem = None;
                state.warnings = Warnings::new(warn_days);
            }
            Err(problem) => {
                tracing::error!(problem, "the new certificate is not used; the old one stays");
                state.problem = Some(problem);
            }
        }
    }

    /// What administrators of the cluster set.
    fn wish(&self) -> Option<SecretString> {
        let cluster = self.cluster.get()?;
        let member = &cluster.membership;
        let (access_id, of) = (member.access_id(), (member.access_id(), member.name()));
        let wish = cluster.configs.of_method(CERTIFICATE_CONFIG, "", access_id);
        let was_unread = self.unread.swap(wish.is_err(), Ordering::Relaxed);
        let dir = self.own.dir();
        match wish {
            Ok(wish) => {
                let mut last = self.last_wish.lock().unwrap_or_else(PoisonError::into_inner);
                let digest = wish.as_ref().map(|wish| sha256(&[wish.expose().as_bytes()]));
                // Looked at each second: what could not be kept is tried again, and told once.
                if *last != Some((digest, true)) {
                    let kept = remembered::keep(dir, of, wish.as_ref());
                    if let Err(problem) = &kept
                        && *last != Some((digest, false))
                    {
                        tracing::warn!(problem, "the certificate that was set is not remembered");
                    }
                    *last = Some((digest, kept.is_ok()));
                }
                wish
            }
            Err(fault) => {
                // It is looked at every second, and cannot be read before the cluster is joined.
                if !was_unread {
                    tracing::warn!(?fault, "the certificate that was set is not known yet");
                }
                remembered::read(dir, of)
            }
        }
    }

    /// When it ends, and whether a new one was refused.
    pub(crate) fn health(&self) -> (Timestamp, bool) {
        let state = self.state();
        (state.in_force.not_after, state.problem.is_some())
    }

    /// How it is, for `GET /status`. What a certificate says is seen by everybody who connects.
    pub(crate) fn status(&self) -> Value {
        let state = self.state();
        let InForce { source, not_after, .. } = state.in_force;
        let now = self.clock.now();
        json!({
            "source": source.name(),
            "not_after": not_after.rfc3339(),
            "days_left": expiry::days_left(now, not_after),
            // The reason has names of files; it is in the log.
            "new_one_refused": state.problem.is_some(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything in it can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PublicCertificate for Certificate {
    fn set_by(&self, account: AccountId) -> Result<AccessId, Fault> {
        if self.files.is_some() {
            return Err(Fault::forbidden(
                "this gateway's certificate is in files of its operator; exchange these",
            ));
        }
        let Some(cluster) = self.cluster.get() else {
            return Err(Fault::forbidden(
                "this gateway is in no cluster, so that no account may set its certificate; its \
                 operator can, with --tls-cert and --tls-key",
            ));
        };
        match cluster.membership.joined() {
            None => Err(Fault::unavailable("this gateway has not joined its cluster yet")),
            Some(joined) if joined.account == account => Ok(cluster.membership.access_id().clone()),
            Some(_) => Err(Fault::forbidden("this gateway is in the cluster of another account")),
        }
    }

    fn check(&self, wish: &CertificateWish) -> Result<(), Fault> {
        let refused = |problem: String| Fault::bad_request(format!("cert-data: {problem}"));
        let (Some(chain), Some(key)) = (&wish.chain, &wish.key) else { return Ok(()) };
        let in_force = InForce::of(Source::Cluster, chain).map_err(refused)?;
        in_force.is_valid_at(self.clock.now()).map_err(refused)?;
        self.tls.check_pem(chain.as_bytes(), key.expose().as_bytes())
    }

    fn changed(&self) {
        self.look(true);
    }
}

/// What a pair is read from.
struct Sources<'a> {
    files: Option<&'a PairFiles>,
    clients: Option<&'a ClientAuthority>,
    own: &'a LocalAuthority,
}

impl Sources<'_> {
    fn load(
        &self,
        wish: Option<SecretString>,
        clock: &ClockHandle,
        rng: &RngHandle,
    ) -> Result<Loaded, Exit> {
        let clients = match self.clients {
            None => ClientCertificates::NotAsked,
            Some(clients) => authorities(clients).map_err(Exit::Configuration)?,
        };
        let wish = wish.map(|wish| CertificateWish::from_json(&wish)).transpose()?;
        let set_days = wish.as_ref().map(|wish| wish.warn_days.clone());
        let set = wish.and_then(|wish| Some(Pair { chain: wish.chain?, key: wish.key? }));
        let (source, pair) = match (self.files, set) {
            (Some(files), _) => (Source::Files, read_pair(files).map_err(Exit::Configuration)?),
            (None, Some(pair)) => (Source::Cluster, pair),
            (None, None) => match self.own.obtained() {
                Some(pair) => (Source::Acme, pair),
                None => (Source::Own, self.own.leaf(&**clock, &**rng)?),
            },
        };
        let in_force = InForce::of(source, &pair.chain).map_err(Exit::Configuration)?;
        let warn_days = set_days.unwrap_or_else(expiry::default_days);
        Ok(Loaded { pair, clients, in_force, warn_days })
    }
}

impl InForce {
    fn of(source: Source, chain: &str) -> Result<Self, String> {
        let digest = sha256(&[chain.as_bytes()]);
        let chain = certificates_of_pem(chain);
        let chain = chain.ok_or("it is not a chain of certificates in PEM")?;
        let validity = |der: &Vec<u8>| certificate_validity_der(der);
        let validity: Option<Vec<_>> = chain.iter().map(validity).collect();
        let validity = validity.ok_or("a certificate of the chain cannot be read")?;
        let not_before = validity.iter().map(|(start, _)| *start).max();
        let not_after = validity.iter().map(|(_, end)| *end).min();
        let (Some(not_before), Some(not_after)) = (not_before, not_after) else {
            return Err("there is no certificate".to_owned());
        };
        Ok(Self { source, not_before, not_after, chain: digest })
    }

    fn is_valid_at(&self, now: Timestamp) -> Result<(), String> {
        if now > self.not_after {
            return Err(format!("it expired at {}", self.not_after.rfc3339()));
        }
        if now < self.not_before {
            return Err(format!("it is not valid before {}", self.not_before.rfc3339()));
        }
        Ok(())
    }
}

fn read_pair(files: &PairFiles) -> Result<Pair, String> {
    let key = read_file(&files.key)?;
    let key = String::from_utf8(key.expose().clone());
    let key = key.map_err(|_| format!("{}: not text", files.key.display()))?;
    let chain = read_text(&files.cert)?;
    Ok(Pair { chain, key: SecretString::new(key) })
}

fn authorities(clients: &ClientAuthority) -> Result<ClientCertificates, String> {
    let name = clients.file.display();
    let text = read_text(&clients.file)?;
    let found = certificates_of_pem(&text);
    let found = found.ok_or_else(|| format!("{name}: not certificates in PEM"))?;
    let found = found.into_iter().map(Into::into).collect();
    Ok(match clients.required {
        true => ClientCertificates::Required(found),
        false => ClientCertificates::Optional(found),
    })
}

/// The text of a file that is no secret.
fn read_text(path: &Path) -> Result<String, String> {
    let name = path.display();
    let bytes = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if bytes > CERTIFICATES_BYTES_MAX {
        return Err(format!("{name}: {bytes} bytes; it has at most {CERTIFICATES_BYTES_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))
}

/// Both halves: it is for the operator.
fn described(fault: &Fault) -> String {
    match fault.private() {
        Some(private) => format!("{fault} ({private})"),
        None => fault.to_string(),
    }
}
