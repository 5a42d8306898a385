//! What control and fragment managers tell Prometheus. No label comes from a caller and none names
//! a secret: they are names of messages and first digits of statuses.

use std::sync::Arc;

use keysherd_base::{ClockHandle, RngHandle};
use keysherd_http::{Exposition, Kind, Ready, Transport, float};
use keysherd_link::LinkHandle;
use tokio::task::JoinHandle;

use super::certificate::Certificate;
use super::files::DataDir;

use super::metrics::{MetricsListener, System, begin, flag};
use super::tls;
use crate::config::metrics::MetricsSettings;
use crate::config::tls::TlsSettings;
use crate::exit::Exit;

/// What a role adds to what all have in common.
pub(crate) type More = Arc<dyn Fn(&mut Exposition) + Send + Sync>;

/// A bound address for the metrics of a role, with the certificate that is shown there: issued by
/// an authority in `tls/ca.pem` of its directory.
pub(crate) struct RoleMetrics {
    listener: MetricsListener,
    certificate: Arc<Certificate>,
}

impl RoleMetrics {
    /// Takes the address.
    pub(crate) async fn bind(
        settings: Option<MetricsSettings>,
        dir: &DataDir,
        clock: &ClockHandle,
        rng: &RngHandle,
    ) -> Result<Option<Self>, Exit> {
        let Some(settings) = settings else { return Ok(None) };
        let listener = MetricsListener::bind(settings).await?;
        let own = (dir.subdir("tls")?, tls::names(settings.listen, &[]));
        let settings = TlsSettings::default();
        let certificate = Certificate::open(&settings, own, clock.clone(), rng.clone())?;
        Ok(Some(Self { listener, certificate }))
    }

    /// Serves until the task is aborted.
    pub(crate) fn serve(self, link: LinkHandle, more: More, ready: Ready) -> JoinHandle<()> {
        let Self { listener, certificate } = self;
        let transport = Transport::Tls(certificate.tls());
        let system = System::new();
        let text = move |ready: bool| {
            let mut to = begin(ready);
            self::link(&mut to, &link);
            more(&mut to);
            system.write(&mut to);
            to.finish()
        };
        tokio::spawn(async move {
            let keeper = tokio::spawn(Certificate::keep(Arc::downgrade(&certificate)));
            listener.serve(transport, text, ready).await;
            keeper.abort();
        })
    }
}

fn link(to: &mut Exposition, link: &LinkHandle) {
    let open = u64::try_from(link.connections()).unwrap_or(u64::MAX);
    let help = "Open connections of other roles.";
    to.single("keysherd_link_open_connections", Kind::Gauge, help, float(open));
    let counts = link.counts();
    let mut count = |name, help, value| to.single(name, Kind::Counter, help, float(value));
    let help = "Connections of other roles that were taken.";
    count("keysherd_link_connections_total", help, counts.connections);
    let help = "Connections refused because there are too many.";
    count("keysherd_link_connections_refused_total", help, counts.refused);
    let help = "Handshakes that failed: strangers, keys that no trust bundle names, wrong clocks.";
    count("keysherd_link_handshakes_failed_total", help, counts.handshakes_failed);
}

/// Which bundle is in force; 0: none.
pub(crate) fn bundle(to: &mut Exposition, version: u64) {
    let help = "The version of the trust bundle in force; 0: none.";
    to.single("keysherd_trust_bundle_version", Kind::Gauge, help, float(version));
}

/// Something that is so or not.
pub(crate) fn is(to: &mut Exposition, name: &'static str, help: &str, set: bool) {
    to.single(name, Kind::Gauge, help, flag(set));
}
