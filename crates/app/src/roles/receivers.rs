//! Whom configurations have a gateway connect to. Those that a cluster shares are at control, and
//! only the cluster's own gateways can open them; so a running gateway leaves a note of the places
//! in its data directory, for `keysherd gateway endpoints` and `keysherd gateway doctor`.

use std::sync::Weak;

use keysherd_api::{Configs, Forwarder};
use keysherd_authn::{CONFIGURED_KINDS, configured_targets};
use keysherd_base::SecretString;
use keysherd_gateway::FORWARDER;
use keysherd_sinks::Way;
use serde::{Deserialize, Serialize};

use super::files::DataDir;
use crate::exit::Exit;

/// The note's file.
const FILE: &str = "cluster-endpoints";

/// A place that a configuration names. No paths of URLs, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    /// Which configuration.
    pub(crate) name: String,
    /// A name or an address.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// `https`, `ldaps`, `ldap`, `tls`, `tcp` or `udp`.
    pub(crate) protocol: String,
    /// What for.
    pub(crate) why: String,
}

/// The places that one configuration names; none for what is switched off.
///
/// # Errors
/// That it is not usable, in words.
pub(crate) fn of(
    kind: &str,
    name: &str,
    body: &SecretString,
    way: &Way,
) -> Result<Vec<Receiver>, String> {
    if kind != FORWARDER {
        let name = format!("{kind} {name}").trim_end().to_owned();
        let found = configured_targets(kind, body).into_iter();
        return Ok(found
            .map(|(target, protocol)| Receiver {
                name: name.clone(),
                host: target.host().to_owned(),
                port: target.port(),
                protocol: protocol.to_owned(),
                why: "logins are checked there".to_owned(),
            })
            .collect());
    }
    let Ok(forwarder) = Forwarder::from_json(name, body) else { return Ok(Vec::new()) };
    let unusable = |_| format!("the log target '{}' is not usable", forwarder.name);
    let outlet = forwarder.sink.open(&forwarder.settings, way).map_err(unusable)?;
    let kind = forwarder.sink.kind().name;
    let name = match forwarder.name.as_str() {
        "" => format!("log target ({kind})"),
        name => format!("log target {name} ({kind})"),
    };
    let found = outlet.receivers().into_iter().filter(|_| forwarder.enabled);
    Ok(found
        .map(|receiver| Receiver {
            name: name.clone(),
            host: receiver.target.host().to_owned(),
            port: receiver.target.port(),
            protocol: receiver.protocol.to_owned(),
            why: "audit records are sent there".to_owned(),
        })
        .collect())
}

/// Keeps the note of what the cluster shares, until the configurations are gone.
pub(crate) async fn keep_note(configs: Weak<dyn Configs>, dir: DataDir, way: Way) {
    let mut noted = None;
    loop {
        let Some(held) = configs.upgrade() else { return };
        let mut news = held.news();
        let mut found = shared(&*held, &way);
        drop(held);
        found.sort_by(|one, other| one.name.cmp(&other.name));
        if noted.as_ref() != Some(&found) {
            let text = serde_json::to_vec(&found).unwrap_or_default();
            match dir.write(FILE, &text) {
                Ok(()) => noted = Some(found),
                Err(exit) => tracing::warn!(%exit, "what has to be reached is not noted"),
            }
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

fn shared(configs: &dyn Configs, way: &Way) -> Vec<Receiver> {
    let mut found = Vec::new();
    for kind in CONFIGURED_KINDS.into_iter().chain([FORWARDER]) {
        for known in configs.of_kind(kind).into_iter().filter(|known| known.shared) {
            let Ok(Some((_, body))) = configs.get(known.account, kind, &known.name) else {
                continue;
            };
            // What is not usable is not connected to.
            found.extend(of(kind, &known.name, &body, way).unwrap_or_default());
        }
    }
    found
}

/// What the gateway noted last.
///
/// # Errors
/// [`Exit::Damaged`] when it is no note.
pub(crate) fn noted(dir: &DataDir) -> Result<Option<Vec<Receiver>>, Exit> {
    let Some(text) = dir.read(FILE)? else { return Ok(None) };
    let damaged = |error| Exit::Damaged(format!("{}: {error}", dir.join(FILE).display()));
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}
