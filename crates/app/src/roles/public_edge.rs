//! The listener that clients connect to, with the public commands behind it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keysherd_api::{Ctx, Limited, Services, commands, pages};
use keysherd_base::ClockHandle;
use keysherd_crypto::random::SystemRng;
use keysherd_egress::Egress;
use keysherd_gateway::{GatewayHost, Membership};
use keysherd_http::{Edge, Ending, Listener, Ready, Surroundings, Traces, Transport, Workers};
use keysherd_wire::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::acme::AcmeKeeper;
use super::certificate::Certificate;
use super::files::DataDir;
use super::gateway::GatewayRole;
use super::listening::Listening;
use super::metrics::{Metrics, MetricsListener};
use super::process::StopSignals;
use super::{tls, traces};
use crate::config::edge::EdgeSettings;
use crate::config::tls::TlsSettings;
use crate::exit::Exit;

/// Where clients connect, and how.
pub(crate) struct PublicAddress<'a> {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How they speak TLS.
    pub(crate) tls: &'a TlsSettings,
    /// Who stands in front, what they may take, and how it ends.
    pub(crate) edge: &'a EdgeSettings,
    /// The way out, for traces.
    pub(crate) egress: &'a Egress,
    /// Where browsers find it, when that is not the address it listens at.
    pub(crate) public_url: Option<&'a str>,
    /// Which commands are served.
    pub(crate) served: Served,
    /// Who may use it; `None`: everybody.
    pub(crate) limited: Option<Arc<Limited>>,
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
    /// What has an authority issue it.
    acme: Option<AcmeKeeper>,
    settings: EdgeSettings,
    egress: Egress,
    metrics: Option<MetricsListener>,
    served: Served,
    limited: Option<Arc<Limited>>,
    /// Where clients find it.
    pub(crate) url: String,
    public_url: Option<String>,
    /// The certificate of the authority that they must trust.
    pub(crate) ca_file: String,
    /// The note about it, and where that is.
    noted: (Listening, DataDir),
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
        let settings = public.edge.clone();
        let listener = Listener::bind(public.listen, settings.limits(), Workers::default())
            .await
            .map_err(|fault| Exit::Listen(fault.to_string()))?
            .with_proxy_headers(settings.proxy_protocol);
        let metrics = match settings.metrics {
            None => None,
            Some(wish) => Some(MetricsListener::bind(wish).await?),
        };
        let address = listener.address();
        let demands_header = |ip| {
            let mut proxies = settings.trusted_proxies.iter();
            settings.proxy_protocol && proxies.any(|network| network.contains(ip))
        };
        let listening = Listening::for_clients(address, demands_header);
        listening.note(dir);
        let tls_dir = dir.subdir("tls")?;
        let own = (tls_dir.clone(), tls::names(address, &public.tls.names));
        let certificate = Certificate::open(public.tls, own, clock.clone(), SystemRng::handle())?;
        let acme = public.tls.acme.clone().map(|settings| {
            let (egress, clock) = (public.egress.clone(), clock.clone());
            AcmeKeeper { settings, dir: tls_dir, egress, clock, rng: SystemRng::handle() }
        });
        let ca_file = certificate.ca_file();
        let (url, public_url) = (tls::url(address), public.public_url.map(str::to_owned));
        let served = public.served;
        Ok(Self {
            listener,
            certificate,
            acme,
            settings,
            egress: public.egress.clone(),
            metrics,
            served,
            limited: public.limited.clone(),
            url,
            public_url,
            ca_file,
            noted: (listening, dir.clone()),
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

    /// Serves until a signal to stop, then drains; a second signal ends it at once.
    pub(crate) async fn serve(
        self,
        role: GatewayRole,
        status: StatusText,
        stop: StopSignals,
    ) -> Result<(), Exit> {
        let services = role.services.clone();
        services.browser_logins.announce(self.public_url.unwrap_or_else(|| self.url.clone()));
        let ready = Arc::new(AtomicBool::new(true));
        let is_ready = is_ready(ready.clone(), role.membership.clone());
        let list = commands_of(self.served, self.limited.as_ref());
        let status = with_certificate(status, self.certificate.clone());
        let open = |wish| traces::open(wish, &self.egress);
        let (traces, export) = self.settings.traces.as_ref().map(open).transpose()?.unzip();
        let probes = (status, is_ready.clone());
        let edge = edge((services, list), probes, &self.settings, traces)?;
        let transport = Transport::Tls(self.certificate.tls());
        let (listening, dir) = self.noted;
        let noting = tokio::spawn(listening.keep(dir, is_ready.clone()));
        let metrics = self.metrics.map(|listener| {
            let text = Metrics::new(role, edge.meter(), self.certificate.clone(), export);
            tokio::spawn(listener.serve(transport.clone(), move |ready| text.text(ready), is_ready))
        });
        let keeper = tokio::spawn(Certificate::keep(Arc::downgrade(&self.certificate)));
        // Not before connections are taken: the authority looks at once.
        let acme = self.acme.map(|acme| tokio::spawn(acme.keep(Arc::downgrade(&self.certificate))));
        tracing::info!(url = self.url, "ready");
        let delay = Duration::from_secs(self.settings.drain_delay_seconds);
        let ending = ending(stop, ready, delay);
        let drained = self.listener.serve_until(transport, edge, ending).await?;
        keeper.abort();
        acme.inspect(JoinHandle::abort);
        noting.abort();
        // Until here whoever looks sees what is still running.
        metrics.inspect(|task| task.abort());
        if drained.unfinished > 0 {
            tracing::warn!(unfinished = drained.unfinished, "some requests were cut off");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Not while it drains, and not on standby.
fn is_ready(running: Arc<AtomicBool>, membership: Option<Arc<Membership>>) -> Ready {
    Arc::new(move || {
        if !running.load(Ordering::Acquire) {
            return Err("unavailable");
        }
        match membership.as_ref().is_none_or(|membership| membership.is_active()) {
            true => Ok(()),
            false => Err("standby"),
        }
    })
}

/// The first signal to stop makes the gateway not ready, and ends the listener after `delay`; the
/// second one ends everything at once.
fn ending(
    mut stop: StopSignals,
    ready: Arc<AtomicBool>,
    delay: Duration,
) -> Ending<impl Future<Output = ()> + Send, impl Future<Output = ()> + Send> {
    let (count, mut first) = watch::channel(0_u32);
    let mut second = count.subscribe();
    tokio::spawn(async move {
        loop {
            stop.wait().await;
            count.send_modify(|count| *count += 1);
        }
    });
    let finish = async move {
        told(&mut first, 1).await;
        ready.store(false, Ordering::Release);
        tracing::info!(delay_seconds = delay.as_secs(), "draining: not ready any more");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = told(&mut first, 2) => {}
        }
        tracing::info!("draining: the listener takes no more connections");
    };
    let cut = async move {
        told(&mut second, 2).await;
        tracing::warn!("told to stop a second time: waiting for nothing any more");
    };
    Ending { finish, cut }
}

/// Waits for that many signals. Whoever counts them lives as long as the runtime.
async fn told(count: &mut watch::Receiver<u32>, wanted: u32) {
    drop(count.wait_for(|count| *count >= wanted).await);
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
fn commands_of(served: Served, limited: Option<&Arc<Limited>>) -> &'static [&'static Command<Ctx>] {
    let mut list: Vec<_> = match served {
        Served::Everything => commands::all().collect(),
        Served::LogForwarding => commands::of_log_forwarders().collect(),
    };
    if let Some(limited) = limited {
        list = list.into_iter().map(|command| limited.guard(command)).collect();
    }
    list.leak()
}

fn edge(
    (services, list): (Arc<Services>, &'static [&'static Command<Ctx>]),
    (status, ready): (StatusText, Ready),
    settings: &EdgeSettings,
    traces: Option<Traces>,
) -> Result<Arc<Edge<GatewayHost>>, Exit> {
    let proxies = settings.trusted_proxies.clone();
    let surroundings = Surroundings {
        clock: services.clock.clone(),
        rng: services.rng.clone(),
        ready,
        traces,
        status: Some(status),
        trusted_proxy: Arc::new(move |peer| proxies.iter().any(|network| network.contains(peer))),
        limits: settings.limits(),
    };
    let host = Arc::new(GatewayHost::new(services));
    Ok(Edge::with_pages(host, list, pages(), surroundings)?)
}
