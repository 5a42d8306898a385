//! Whom a gateway connects to, by its settings, its trust bundle and its configurations.

use std::sync::Arc;

use keysherd_api::Forwarder;
use keysherd_authn::configured_targets;
use keysherd_base::{ClockHandle, RngHandle, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use keysherd_egress::{Egress, Target};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_gateway::{ConfigStore, FORWARDER};
use keysherd_link::{Identity, KeySet, Route, TrustHandle};
use keysherd_sinks::Way;
use serde::Serialize;

use crate::config::gateway::GatewaySettings;
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::gateway::{INSTANCE_KEY, instance_key};
use crate::roles::trust::Trusted;
use crate::roles::{owner_pin, parties};

/// The directory of configurations, which is not made here.
const CONFIGS: &str = "configs";

/// Somebody whom the gateway connects to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Endpoint {
    /// Who it is.
    pub(super) name: String,
    /// A name or an address.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// `link` (TLS 1.3 with pinned keys), `https`, `ldaps`, `tls`, `tcp` or `udp`.
    pub(super) protocol: &'static str,
    /// The proxy that is asked for it, `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// What for.
    pub(super) why: &'static str,
}

/// What is known without asking anybody.
pub(super) struct Known {
    pub(super) settings: GatewaySettings,
    pub(super) dir: Option<DataDir>,
    /// The identity, once it was made.
    pub(super) identity: Option<Identity>,
    /// The key that the bundle has to name.
    pub(super) spki: Option<[u8; 32]>,
    pub(super) bundle: Option<Arc<PinnedBundle>>,
    pub(super) clock: ClockHandle,
    owner: Option<PublicKey>,
    configured: Vec<Endpoint>,
    remarks: Vec<String>,
}

/// A role that is reached over a link.
pub(super) struct Linked {
    pub(super) endpoint: Endpoint,
    pub(super) route: Route,
    pub(super) trust: TrustHandle,
    /// Whether it is control.
    pub(super) control: bool,
}

impl Known {
    /// Reads the data directory, if there is one.
    ///
    /// # Errors
    /// [`Exit::Files`] when it cannot be used, [`Exit::Damaged`] when something in it is no good,
    /// [`Exit::Configuration`] when the owner's key is another than it was installed with.
    pub(super) fn read(settings: GatewaySettings) -> Result<Self, Exit> {
        let mut known = Self {
            settings,
            dir: None,
            identity: None,
            spki: None,
            bundle: None,
            clock: Arc::new(SystemClock),
            owner: None,
            configured: Vec::new(),
            remarks: Vec::new(),
        };
        if !known.settings.data_dir.is_dir() {
            known.remarks.push(
                "there is no data directory yet, so nothing is known of managers and \
                 configurations"
                    .to_owned(),
            );
            return Ok(known);
        }
        let dir = DataDir::open(&known.settings.data_dir)?;
        let rng = SystemRng::handle();
        known.owner = owner_pin::known(&dir, known.settings.owner_key)?;
        if dir.join(INSTANCE_KEY).exists() {
            let key = instance_key(&dir, &rng)?;
            known.spki = Some(key.public().spki_sha256());
            let identity = Identity::new(&key, "gateway", known.clock.clone(), rng.clone())?;
            known.identity = Some(identity);
        }
        match known.owner {
            Some(owner) => known.bundle = Trusted::open(dir.clone(), owner)?.bundle(),
            None => known.remarks.push("no owner key is pinned yet; see --owner-key".to_owned()),
        }
        if known.bundle.is_none() {
            known.remarks.push("there is no trust bundle yet, which names managers".to_owned());
        }
        if dir.join(CONFIGS).is_dir() {
            known.read_configured(&dir, rng)?;
        }
        if known.settings.serving.cluster.is_some() {
            known.remarks.push(
                "configurations that the cluster shares are at control; those of this gateway \
                 alone are listed"
                    .to_owned(),
            );
        }
        known.dir = Some(dir);
        Ok(known)
    }

    fn read_configured(&mut self, dir: &DataDir, rng: RngHandle) -> Result<(), Exit> {
        let Some(configured) = ConfigStore::look(&dir.join(""))? else {
            self.remarks.push(
                "there are configurations, and their key configs.key is missing: put it back, as a \
                 gateway that starts without it makes another one"
                    .to_owned(),
            );
            return Ok(());
        };
        let egress = self.settings.serving.egress.clone();
        let way = Way {
            clock: self.clock.clone(),
            rng,
            lends_identity_to: self.settings.serving.lend_cloud_identity.clone(),
            account: None,
            egress: egress.receivers(),
        };
        for (account, kind, name, body) in configured {
            if kind == FORWARDER {
                let Ok(target) = Forwarder::from_json(&name, &body) else { continue };
                let Ok(outlet) = target.sink.open(&target.settings, &way.clone().of(account))
                else {
                    self.remarks.push(format!("the log target '{}' is not usable", target.name));
                    continue;
                };
                let name = match target.name.as_str() {
                    "" => format!("log target ({})", target.sink.kind().name),
                    name => format!("log target {name} ({})", target.sink.kind().name),
                };
                for receiver in outlet.receivers().into_iter().filter(|_| target.enabled) {
                    let proxied = receiver.protocol == "https";
                    let egress = if proxied { &egress.egress } else { &Egress::default() };
                    let (target, protocol) = (receiver.target, receiver.protocol);
                    let why = "audit records are sent there";
                    self.configured.push(endpoint(name.clone(), &target, protocol, egress, why));
                }
                continue;
            }
            for (target, protocol) in configured_targets(&kind, &body) {
                let proxied = protocol == "https";
                let egress = if proxied { &egress.egress } else { &Egress::default() };
                let name = format!("{kind} {name}");
                let why = "logins are checked there";
                let name = name.trim_end().to_owned();
                self.configured.push(endpoint(name, &target, protocol, egress, why));
            }
        }
        Ok(())
    }

    /// What is missing from the picture.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Control and the managers.
    pub(super) fn linked(&self) -> Vec<Linked> {
        let out = &self.settings.serving.egress.egress;
        let bundle = self.bundle.clone();
        let controls = parties::controls(Arc::new(move || bundle.clone()));
        let mut linked = Vec::new();
        for (place, address) in self.settings.controls.iter().enumerate() {
            let Some(target) = Target::parse(address) else { continue };
            let name = match place {
                0 => "control".to_owned(),
                place => format!("control {}", place + 1),
            };
            let why = match self.settings.relay {
                false => "requests, audit records, trust bundles",
                true => "requests, audit records, trust bundles, and the relay to managers",
            };
            linked.push(Linked {
                endpoint: endpoint(name, &target, "link", out, why),
                route: Route::direct(address).through(out),
                trust: controls.clone(),
                control: true,
            });
        }
        let managers = self.bundle.iter().flat_map(|bundle| &bundle.bundle().managers);
        for entry in managers.filter(|_| !self.settings.relay) {
            let address = self.settings.managers.get(&entry.index).unwrap_or(&entry.address);
            let Some(target) = Target::parse(address) else { continue };
            let name = format!("manager {}", entry.index);
            linked.push(Linked {
                endpoint: endpoint(name, &target, "link", out, "fragments of keys"),
                route: Route::direct(address).through(out),
                trust: Arc::new(KeySet::new([entry.tls_spki_sha256])),
                control: false,
            });
        }
        linked
    }

    /// Whom the gateway's configurations name.
    pub(super) fn configured(&self) -> &[Endpoint] {
        &self.configured
    }

    /// Everybody, the proxy included.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let mut all: Vec<_> = self.linked().into_iter().map(|linked| linked.endpoint).collect();
        all.extend(self.configured.iter().cloned());
        if let Some(proxy) = self.settings.serving.egress.egress.proxy() {
            let direct = Egress::default();
            let why = "the way to those that name it";
            all.push(endpoint("proxy".to_owned(), proxy.place(), "http", &direct, why));
        }
        all
    }
}

fn endpoint(
    name: String,
    target: &Target,
    protocol: &'static str,
    egress: &Egress,
    why: &'static str,
) -> Endpoint {
    let proxy = egress.proxy_for(target.host(), target.port());
    Endpoint {
        name,
        host: target.host().to_owned(),
        port: target.port(),
        protocol,
        proxy: proxy.map(|proxy| proxy.place().to_string()),
        why,
    }
}
