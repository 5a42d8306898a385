//! The life of the server: open, announce, serve, drain.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use keysherd_api::{Limited, NoCertificate};
use keysherd_base::{ClockHandle, SystemClock};
use keysherd_control::{WebSettings, checked_email};
use keysherd_gateway::{CacheSettings, CustomerFragments, Strictness};
use serde_json::json;

use super::roles::{self, Opening, Roles};
use super::{announce, hangup};
use crate::config::account::AccountConfig;
use crate::config::caching;
use crate::config::egress::EgressSettings;
use crate::config::server::ServerConfig;
use crate::config::serving::LISTEN_DEFAULT;
use crate::customer_fragments;
use crate::exit::Exit;
use crate::roles::bootstrap::{self, Bootstrap, Setup};
use crate::roles::files::DataDir;
use crate::roles::gateway::JOURNAL_DRAIN;
use crate::roles::membership::{self, ClusterParts};
use crate::roles::process::{StopSignals, write_stdout};
use crate::roles::public_edge::{PublicAddress, PublicEdge, Served, StatusText};
use crate::roles::{control, fragments, gateway, tls};

/// How often chores are done.
const CHORES_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn run(config: ServerConfig) -> Result<(), Exit> {
    let stop = StopSignals::new()?;
    let hangups = hangup::listen()?;
    let clock: ClockHandle = Arc::new(SystemClock);
    let dir = DataDir::open(&config.data_dir)?;
    let public = PublicAddress {
        listen: config.serving.listen,
        tls: &config.serving.tls,
        edge: &config.serving.edge,
        egress: &config.serving.egress.egress,
        public_url: config.serving.public_url.as_deref(),
        served: Served::Everything,
        limited: Limited::new(config.serving.only.clone(), config.serving.never.clone()),
    };
    let edge = PublicEdge::bind(&public, &dir, &clock).await?;
    let source = config.serving.customer_fragments;
    let fragments = customer_fragments::open(&source, config.serving.fragment_module).await;
    let opening = Opening {
        key_cache_seconds: config.serving.key_cache_seconds,
        cache: config.serving.cache,
        cache_key: caching::read_key(config.serving.cache_key.as_ref(), &config.data_dir)?,
        rewraps_per_second: NonZeroU32::new(config.serving.rewraps_per_second),
        fragments,
        strict: config.serving.strict,
        certificate: edge.certificate(),
        lends_identity_to: config.serving.lend_cloud_identity.clone(),
        at_rest: &config.at_rest,
        database: config.database,
        web: &config.web,
        cluster: config.serving.cluster.map(|settings| {
            let address = IpAddr::from([127, 0, 0, 1]);
            ClusterParts { settings, address }
        }),
        egress: config.serving.egress,
    };
    let roles = Roles::open(&dir, opening).await?;
    let (bootstrap, first) = account(&roles, &dir, &edge).await?;
    edge.follow(&roles.gateway);
    write_stdout(&announce::text(&dir, bootstrap.as_ref(), &edge.url, first));
    let chores =
        tokio::spawn(chores(roles.control.clone(), roles.managers.clone(), roles.clock.clone()));
    let reload = hangup::Reload {
        certificate: edge.certificate(),
        source,
        fragments: roles.fragments.clone(),
        gateway: roles.gateway.gateway.clone(),
        managers: roles.managers.clone(),
        owner: roles.owner.clone(),
        gateway_spki_sha256: roles.gateway_spki_sha256,
        clock: roles.clock.clone(),
    };
    let reloads = tokio::spawn(hangup::run(hangups, reload));
    edge.serve(roles.gateway.clone(), roles.status(), stop).await?;
    roles.gateway.forwarders.retire().await;
    roles.gateway.gateway.drain(JOURNAL_DRAIN).await;
    chores.abort();
    reloads.abort();
    Ok(())
}

/// Creates a further account while the server is stopped.
pub(crate) async fn create_account(config: AccountConfig) -> Result<(), Exit> {
    checked_email(&config.owner_email)
        .map_err(|fault| Exit::Configuration(format!("--owner-email: {fault}")))?;
    // An installation made by a mistyped path would hold an account nobody serves.
    if !config.data_dir.join(roles::CONTROL).is_dir() {
        return Err(Exit::Files(format!(
            "there is no installation in {}; start the server once, or correct --data-dir",
            config.data_dir.display()
        )));
    }
    let dir = DataDir::open(&config.data_dir)?;
    let out = DataDir::open(&config.out_dir)?;
    let opening = Opening {
        key_cache_seconds: 0,
        cache: CacheSettings::default(),
        cache_key: None,
        rewraps_per_second: None,
        fragments: Arc::new(CustomerFragments::new(None)),
        strict: Strictness::default(),
        certificate: Arc::new(NoCertificate),
        lends_identity_to: Arc::default(),
        at_rest: &config.at_rest,
        database: config.database,
        web: &WebSettings::default(),
        cluster: None,
        egress: EgressSettings::default(),
    };
    let roles = Roles::open(&dir, opening).await?;
    bootstrap::finish(&roles.gateway.services, &out).await?;
    bootstrap::require_room(&out)?;
    let (url, ca_file) = match bootstrap::read(&dir)? {
        Some(first) => (first.url, first.ca_file),
        None => {
            let ca_file = dir.join("tls").join(tls::CA_FILE).display().to_string();
            (format!("https://{LISTEN_DEFAULT}"), ca_file)
        }
    };
    let made = new_account(&roles, &dir, &out, Some(&config.owner_email), url, ca_file).await?;
    let file = out.join(bootstrap::BOOTSTRAP);
    write_stdout(&format!("account {} created; see {}\n", made.account_id, file.display()));
    Ok(())
}

/// Finds the account of an earlier start, or makes it. The file is brought up to date with the
/// address of this start.
async fn account(
    roles: &Roles,
    dir: &DataDir,
    edge: &PublicEdge,
) -> Result<(Option<Bootstrap>, bool), Exit> {
    let (url, ca_file) = (edge.url.clone(), edge.ca_file.clone());
    bootstrap::finish(&roles.gateway.services, dir).await?;
    if !roles.control.has_accounts()? {
        let made = new_account(roles, dir, dir, None, url, ca_file).await?;
        return Ok((Some(made), true));
    }
    let Some(found) = bootstrap::read(dir)? else { return Ok((None, false)) };
    let current = Bootstrap { url, ca_file, ..found.clone() };
    if current.url != found.url || current.ca_file != found.ca_file {
        bootstrap::write(dir, &current)?;
    }
    Ok((Some(current), false))
}

/// Makes an account as a gateway of its own would: with a token from control's directory.
async fn new_account(
    roles: &Roles,
    dir: &DataDir,
    out: &DataDir,
    owner_email: Option<&str>,
    url: String,
    ca_file: String,
) -> Result<Bootstrap, Exit> {
    let control_dir = dir.subdir(roles::CONTROL)?;
    let token = control::write_setup_token(&control_dir, &roles.rng)?;
    let setup = Setup { role: &roles.gateway, token, owner_email, url, ca_file };
    bootstrap::create_account(setup, out).await
}

impl Roles {
    /// What `GET /status` says: nothing that helps an attacker, enough for an operator.
    fn status(&self) -> StatusText {
        let cluster = self.gateway.membership.clone();
        let (managers, store) = (self.managers.clone(), self.store.clone());
        let gateway = self.gateway.clone();
        Arc::new(move || {
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "fragments": announce::TRUST_DOMAINS,
                "fragment_managers": managers.len(),
                "store": if store.is_shared() { "postgres" } else { "embedded" },
                "low_on_space": store.is_low_on_space(),
                "gateway": gateway::health(&gateway),
                "cluster": membership::health(cluster.as_deref()),
            })
        })
    }
}

/// What has to be done now and then: deletions that are due, keys that were never completed.
async fn chores(
    control: keysherd_control::Control,
    managers: Vec<Arc<keysherd_manager::Manager>>,
    clock: ClockHandle,
) {
    let mut turns = tokio::time::interval(CHORES_INTERVAL);
    loop {
        turns.tick().await;
        control::purge(&control, &clock).await;
        for manager in &managers {
            fragments::tidy(manager).await;
        }
    }
}
