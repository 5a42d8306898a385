//! What a role that serves clients runs with: a gateway, and the server that has one inside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Command;
use keysherd_base::{AccessId, AccountId};
use keysherd_gateway::{CacheSettings, Strictness};

use super::caching;
use super::cluster::{self, ClusterSettings};
use super::edge::{self, EdgeSettings};
use super::egress::{self, EgressSettings};
use super::settings::{Settings, option, switch, wrong};
use super::tls::{self, TlsSettings};
use crate::customer_fragments::module::{self, ModuleSource};
use crate::customer_fragments::source::{self, FragmentSource};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Where clients are served unless told otherwise: on this machine only.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8000";
/// How many values a gateway wraps anew in a second after a rotation, unless told otherwise: a
/// quarter of a core, over all roles.
const REWRAPS_PER_SECOND_DEFAULT: u64 = 500;

/// Lists of who may use the gateway.
const ONLY: &str = "restrict-service-to-access-ids";
const NEVER: &str = "blocklist-access-ids";
/// The list of accounts that the machine's identity is lent to.
const LENT_TO: &str = "lend-cloud-identity";
/// Most ids in one of these lists.
const IDS_MAX: usize = 1_000;

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServingSettings {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// How they speak TLS.
    pub(crate) tls: TlsSettings,
    /// Who stands in front, what they may take, and how it ends.
    pub(crate) edge: EdgeSettings,
    /// Where browsers find it, when that is not the address it listens at.
    pub(crate) public_url: Option<String>,
    /// Where customer fragments come from.
    pub(crate) customer_fragments: FragmentSource,
    /// The hardware module of those that are kept in one.
    pub(crate) fragment_module: Option<ModuleSource>,
    /// What is refused beyond what must be.
    pub(crate) strict: Strictness,
    /// Seconds an opened key stays in memory; 0 switches the cache off.
    pub(crate) key_cache_seconds: i64,
    /// How reads are answered without asking control.
    pub(crate) cache: CacheSettings,
    /// Where the key of a copy of them on disk comes from; `None`: there is none.
    pub(crate) cache_key: Option<PassphraseSource>,
    /// Values wrapped anew in a second after a rotation; 0: none.
    pub(crate) rewraps_per_second: u32,
    /// The accounts whose log targets may use the identity that this machine has in its cloud.
    pub(crate) lend_cloud_identity: Arc<[AccountId]>,
    /// The cluster it is in.
    pub(crate) cluster: Option<ClusterSettings>,
    /// How it reaches others.
    pub(crate) egress: EgressSettings,
    /// The only ones who may use it; empty: everybody.
    pub(crate) only: Vec<AccessId>,
    /// Those who may not use it.
    pub(crate) never: Vec<AccessId>,
}

/// The options of roles that serve clients.
pub(super) fn serving(command: Command) -> Command {
    edge::edge(tls::tls(egress::sending(cluster::cluster(command))))
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address clients connect to; port 0 takes a free one [default: 127.0.0.1:8000]",
        ))
        .arg(option(
            "public-url",
            "URL",
            "KEYSHERD_PUBLIC_URL",
            "Where browsers find it, to sign in [default: https:// and the address of --listen]",
        ))
        .arg(option(
            "key-cache-seconds",
            "SECONDS",
            "KEYSHERD_KEY_CACHE_SECONDS",
            "How long opened keys stay in memory, 0 to 3600; 0: never [default: 60]",
        ))
        .args(caching::options())
        .arg(option(
            "rewraps-per-second",
            "NUMBER",
            "KEYSHERD_REWRAPS_PER_SECOND",
            "Values a rotation wraps anew in a second, 0 to 100000; 0: none [default: 500]",
        ))
        .arg(option(
            LENT_TO,
            "ACCOUNT-IDS",
            "KEYSHERD_LEND_CLOUD_IDENTITY",
            "Accounts whose log targets may sign in at AWS as this machine or roles it may assume",
        ))
        .arg(option(
            ONLY,
            "ACCESS-IDS",
            "KEYSHERD_RESTRICT_SERVICE_TO_ACCESS_IDS",
            "Auth methods whose bearers may use this gateway, separated by commas [default: all]",
        ))
        .arg(option(
            NEVER,
            "ACCESS-IDS",
            "KEYSHERD_BLOCKLIST_ACCESS_IDS",
            "Auth methods whose bearers may not use this gateway, separated by commas",
        ))
        .args(source::flags())
        .args(module::flags())
        .arg(
            switch("strict-writes", "Refuse writes while a fragment manager is missing")
                .env("KEYSHERD_STRICT_WRITES"),
        )
        .arg(
            switch("strict-names", "Refuse values whose path no gateway attested")
                .env("KEYSHERD_STRICT_NAMES"),
        )
}

impl ServingSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let what = "an address and a port, such as 127.0.0.1:8000";
        let file = settings.text("customer-fragments")?.map(PathBuf::from);
        let cache = settings.number("key-cache-seconds", 0..=3_600, 60)?;
        let rewraps =
            settings.number("rewraps-per-second", 0..=100_000, REWRAPS_PER_SECOND_DEFAULT)?;
        let serving = Self {
            listen: settings.parsed("listen", LISTEN_DEFAULT, what)?,
            tls: TlsSettings::load(settings)?,
            edge: EdgeSettings::load(settings)?,
            public_url: settings.text("public-url")?,
            customer_fragments: FragmentSource::choose(settings.flags, file, env),
            fragment_module: ModuleSource::choose(&|name| settings.text(name), env)?,
            strict: Strictness {
                writes: settings.is_set("strict-writes")?,
                names: settings.is_set("strict-names")?,
            },
            key_cache_seconds: i64::try_from(cache).unwrap_or(0),
            cache: caching::load(settings, env)?,
            cache_key: caching::key_source(settings, env)?,
            rewraps_per_second: u32::try_from(rewraps).unwrap_or(u32::MAX),
            lend_cloud_identity: account_ids(settings, LENT_TO)?.into(),
            cluster: ClusterSettings::load(settings, env)?,
            egress: egress::load_sending(settings, env)?,
            only: access_ids(settings, env, ONLY, "RESTRICT_SERVICE_TO_ACCESS_IDS")?,
            never: access_ids(settings, env, NEVER, "BLOCKLIST_ACCESS_IDS")?,
        };
        if let Some(url) = serving.public_url.as_deref().filter(|url| !is_public_url(url)) {
            let what = "https:// and a host, without a slash at the end, a user or a query";
            return Err(wrong("public-url", url, what));
        }
        Ok(serving)
    }

    /// What has to be readable besides the data directory.
    pub(super) fn paths(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let mut paths = self.customer_fragments.paths();
        paths.extend(self.tls.paths());
        paths.extend(self.edge.paths(env));
        paths.extend(self.fragment_module.iter().flat_map(ModuleSource::paths));
        paths.extend(self.cache_key.iter().filter_map(|source| source.path(env)));
        paths.extend(self.cluster.iter().flat_map(|cluster| cluster.paths(env)));
        if !self.lend_cloud_identity.is_empty() {
            paths.extend(keysherd_cloud::files(env));
        }
        paths
    }
}

/// A list that holds nobody although it was given keeps nobody out, which nobody means by it.
fn access_ids(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    name: &str,
    variable: &str,
) -> Result<Vec<AccessId>, Exit> {
    let what = "access ids, such as p-abcdefghijkl, separated by commas";
    let given = settings.text(name)?.or_else(|| env(variable));
    ids(name, given, what, AccessId::parse)
}

fn account_ids(settings: &Settings<'_>, name: &str) -> Result<Vec<AccountId>, Exit> {
    let what = "account ids, such as acc-0123456789abcdef0123456789abcdef, separated by commas";
    ids(name, settings.text(name)?, what, AccountId::parse)
}

fn ids<T, E>(
    name: &str,
    given: Option<String>,
    what: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Exit> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let ids: Result<Vec<_>, _> = ids.map(parse).collect();
    match ids {
        Ok(ids) if !ids.is_empty() && ids.len() <= IDS_MAX => Ok(ids),
        _ => Err(wrong(name, &text, what)),
    }
}

/// Providers compare it byte by byte, and cookies that browsers bind to one host need TLS.
fn is_public_url(url: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&b);
    let rest = url.strip_prefix("https://").unwrap_or_default();
    url.len() <= 512
        && rest.bytes().all(allowed)
        && !rest.starts_with(['/', ':'])
        && !rest.is_empty()
        && !rest.ends_with('/')
}
