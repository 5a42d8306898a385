//! The listener that clients connect to, with the public commands behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keysherd_api::{Ctx, Services, commands, pages};
use keysherd_base::ClockHandle;
use keysherd_crypto::random::SystemRng;
use keysherd_domain::auth_method::IpNetwork;
use keysherd_gateway::GatewayHost;
use keysherd_http::{Edge, Limits, Listener, Surroundings, Transport, Workers};
use keysherd_wire::Command;

use super::certificate::Certificate;
use super::files::DataDir;
use super::gateway::GatewayRole;
use super::listening::Listening;
use super::process::StopSignals;
use super::tls;
use crate::config::tls::TlsSettings;
use crate::exit::Exit;

/// Where clients connect, and how.
pub(crate) struct PublicAddress<'a> {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How they speak TLS.
    pub(crate) tls: &'a TlsSettings,
    /// The networks of proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: &'a [IpNetwork],
    /// Where browsers find it, when that is not the address it listens at.
    pub(crate) public_url: Option<&'a str>,
    /// Which commands are served.
    pub(crate) served: Served,
    /// Seconds running requests may take after the signal to stop.
    pub(crate) drain_seconds: u64,
}

/// Which commands are served; the others do not exist there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// All.
    Everything,
    /// Those to sign in and to forward the audit log: nothing that opens a secret.
    LogForwarding,
}

/// A bound listener that does not serve yet.
pub(crate) struct PublicEdge {
    listener: Listener,
    certificate: Arc<Certificate>,
    limits: Limits,
    trusted_proxies: Vec<IpNetwork>,
    served: Served,
    /// Where clients find it.
    pub(crate) url: String,
    public_url: Option<String>,
    /// The certificate of the authority that they must trust.
    pub(crate) ca_file: String,
}

/// What `GET /status` answers.
pub(crate) type StatusText = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

impl PublicEdge {
    /// Takes the address, and opens or makes the certificate in `dir`.
    pub(crate) async fn bind(
        public: &PublicAddress<'_>,
        dir: &DataDir,
        clock: &ClockHandle,
    ) -> Result<Self, Exit> {
        let drain_timeout = Duration::from_secs(public.drain_seconds);
        let limits = Limits { drain_timeout, ..Limits::default() };
        let listener = Listener::bind(public.listen, limits, Workers::default())
            .await
            .map_err(|fault| Exit::Listen(fault.to_string()))?;
        let address = listener.address();
        Listening::for_clients(address).note(dir);
        let own = (dir.subdir("tls")?, tls::names(address, &public.tls.names));
        let certificate = Certificate::open(public.tls, own, clock.clone(), SystemRng::handle())?;
        let ca_file = certificate.ca_file();
        let (url, public_url) = (tls::url(address), public.public_url.map(str::to_owned));
        let (trusted_proxies, served) = (public.trusted_proxies.to_vec(), public.served);
        Ok(Self {
            listener,
            certificate,
            limits,
            trusted_proxies,
            served,
            url,
            public_url,
            ca_file,
        })
    }

    /// The certificate that clients see.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        self.certificate.clone()
    }

    /// From now on the administrators of the gateway's cluster, if it is in one, may set the
    /// certificate.
    pub(crate) fn follow(&self, role: &GatewayRole) {
        if let Some(membership) = &role.membership {
            self.certificate.follow(role.services.configs.clone(), membership.clone());
        }
    }

    /// Serves until a signal to stop, then drains.
    pub(crate) async fn serve(
        self,
        services: Arc<Services>,
        status: StatusText,
        mut stop: StopSignals,
    ) -> Result<(), Exit> {
        let ready = Arc::new(AtomicBool::new(true));
        services.browser_logins.announce(self.public_url.unwrap_or_else(|| self.url.clone()));
        let proxies = self.trusted_proxies;
        let list = commands_of(self.served);
        let status = with_certificate(status, self.certificate.clone());
        let edge = edge((services, list), status, self.limits, proxies, ready.clone())?;
        let keeper = tokio::spawn(Certificate::keep(Arc::downgrade(&self.certificate)));
        tracing::info!(url = self.url, "ready");
        let shutdown = async move {
            stop.wait().await;
            ready.store(false, Ordering::Release);
            tracing::info!("draining");
        };
        let transport = Transport::Tls(self.certificate.tls());
        let drained = self.listener.serve(transport, edge, shutdown).await?;
        keeper.abort();
        if drained.unfinished > 0 {
            tracing::warn!(unfinished = drained.unfinished, "some requests were cut off");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// The status with what there is to say about the certificate.
fn with_certificate(status: StatusText, certificate: Arc<Certificate>) -> StatusText {
    Arc::new(move || {
        let mut said = status();
        if let Some(said) = said.as_object_mut() {
            said.insert("tls".to_owned(), certificate.status());
        }
        said
    })
}

/// The registry lives as long as the process.
fn commands_of(served: Served) -> &'static [&'static Command<Ctx>] {
    let list: Vec<_> = match served {
        Served::Everything => commands::all().collect(),
        Served::LogForwarding => commands::of_log_forwarders().collect(),
    };
    list.leak()
}

fn edge(
    (services, list): (Arc<Services>, &'static [&'static Command<Ctx>]),
    status: StatusText,
    limits: Limits,
    proxies: Vec<IpNetwork>,
    ready: Arc<AtomicBool>,
) -> Result<Arc<Edge<GatewayHost>>, Exit> {
    let surroundings = Surroundings {
        clock: services.clock.clone(),
        rng: services.rng.clone(),
        ready: Arc::new(move || ready.load(Ordering::Acquire)),
        status: Some(status),
        trusted_proxy: Arc::new(move |peer| proxies.iter().any(|network| network.contains(peer))),
        limits,
    };
    let host = Arc::new(GatewayHost::new(services));
    Ok(Edge::with_pages(host, list, pages(), surroundings)?)
}
