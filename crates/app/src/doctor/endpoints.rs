//! Whom a gateway connects to, by its settings, its trust bundle and its configurations.

use std::sync::Arc;

use keysherd_base::{ClockHandle, RngHandle, SystemClock};
use keysherd_cloud::Cloud;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use keysherd_egress::{Egress, Target};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_gateway::ConfigStore;
use keysherd_link::{Identity, KeySet, Route, TrustHandle};
use keysherd_sinks::Way;
use serde::Serialize;

use crate::config::gateway::GatewaySettings;
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::gateway::{INSTANCE_KEY, instance_key};
use crate::roles::receivers::{self, Receiver};
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
    /// `link` (TLS 1.3 with pinned keys), `https`, `http`, `ldaps`, `ldap`, `tls`, `tcp` or `udp`.
    pub(super) protocol: String,
    /// The proxy that is asked for it, `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// What for.
    pub(super) why: String,
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
        for receiver in known.named_by_settings() {
            known.add(receiver);
        }
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
            match receivers::noted(&dir)? {
                Some(noted) => noted.into_iter().for_each(|receiver| known.add(receiver)),
                None => known.remarks.push(
                    "configurations that the cluster shares are not known before the gateway has \
                     run; those of this gateway alone are listed"
                        .to_owned(),
                ),
            }
        }
        known.dir = Some(dir);
        Ok(known)
    }

    /// Somebody whom a configuration names. Only HTTP goes through proxies.
    fn add(&mut self, receiver: Receiver) {
        let Receiver { name, host, port, protocol, why } = receiver;
        let proxied = protocol == "https";
        let egress = &self.settings.serving.egress.egress;
        let proxy = egress.proxy_for(&host, port).filter(|_| proxied);
        let proxy = proxy.map(|proxy| proxy.place().to_string());
        self.configured.push(Endpoint { name, host, port, protocol, proxy, why });
    }

    /// Those that settings name, beside control, managers and the proxy.
    fn named_by_settings(&self) -> Vec<Receiver> {
        let serving = &self.settings.serving;
        let traces = serving.edge.traces.iter().filter_map(|traces| of_url(&traces.url));
        let traces = traces.map(|(target, protocol)| Receiver {
            name: "traces".to_owned(),
            host: target.host().to_owned(),
            port: target.port(),
            protocol: protocol.to_owned(),
            why: "spans are sent there".to_owned(),
        });
        let machine = serving.cluster.as_ref().and_then(|cluster| cluster.proof.cloud());
        let lent = (!serving.lend_cloud_identity.is_empty()).then_some(Cloud::Aws);
        let clouds = machine.into_iter().chain(lent.filter(|lent| machine != Some(*lent)));
        let clouds = clouds.flat_map(|cloud| keysherd_cloud::endpoints(cloud, &crate::env));
        let clouds = clouds.map(|place| Receiver {
            name: place.name.to_owned(),
            host: place.host,
            port: place.port,
            protocol: place.protocol.to_owned(),
            why: "the identity of this machine in its cloud".to_owned(),
        });
        traces.chain(clouds).collect()
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
            match receivers::of(&kind, &name, &body, &way.clone().of(account)) {
                Ok(found) => found.into_iter().for_each(|receiver| self.add(receiver)),
                Err(remark) => self.remarks.push(remark),
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
        protocol: protocol.to_owned(),
        proxy: proxy.map(|proxy| proxy.place().to_string()),
        why: why.to_owned(),
    }
}

/// Host and port of a URL of our own settings, and its scheme.
fn of_url(url: &str) -> Option<(Target, &'static str)> {
    let (protocol, port, rest) = match url.strip_prefix("https://") {
        Some(rest) => ("https", 443, rest),
        None => ("http", 80, url.strip_prefix("http://")?),
    };
    let place = rest.split(['/', '?', '#']).next()?;
    let target = Target::parse(place).or_else(|| Target::parse(&format!("{place}:{port}")))?;
    Some((target, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_from_urls() {
        for (url, host, port, protocol) in [
            ("https://traces.example", "traces.example", 443, "https"),
            ("https://traces.example:4318/v1/traces", "traces.example", 4318, "https"),
            ("http://127.0.0.1/x?y", "127.0.0.1", 80, "http"),
            ("http://[::1]:4318", "::1", 4318, "http"),
        ] {
            let (target, found) = of_url(url).unwrap();
            assert_eq!((target.host(), target.port(), found), (host, port, protocol), "{url}");
        }
        assert!(of_url("ftp://x").is_none());
    }
}
