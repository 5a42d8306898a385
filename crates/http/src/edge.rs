//! The edge: one request in, one answer out.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use keysherd_base::{Fault, FaultKind, RequestId};
use keysherd_wire::{
    Access, Answer, Args, Command, Page, PageAnswer, PageMethod, PageRequest, Pages, Spec,
};
use tokio_util::task::TaskTracker;

use crate::body::{self, Bodies};
use crate::call::{self, Unstoppable};
use crate::config::Surroundings;
use crate::form;
use crate::host::{BoxFuture, Host, RequestInfo};
use crate::json::parse_body;
use crate::meter::{self, Meter};
use crate::origin::{ClientKinds, Peer, client_address};
use crate::pages::{FoundPage, PageRoutes};
use crate::rates::{Counted, Rates};
use crate::reply::{self, Reply};
use crate::request_ids::RequestIds;
use crate::route::{Found, Routes, Target, route, shown};
use crate::running::Running;
use crate::token;
use crate::trace::{Started, Traces};

/// What a listener brings requests to.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers `request` of a connection from `peer`.
    fn handle(
        self: Arc<Self>,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Reply> + Send;

    /// Whether `peer` stands for many clients.
    fn is_proxy(&self, peer: IpAddr) -> bool;

    /// The calls that go on without their clients.
    fn orphans(&self) -> &TaskTracker;

    /// What is counted.
    fn meter(&self) -> &Meter;
}

/// The commands of a host, ready to be served by any number of listeners.
pub struct Edge<H: Host> {
    host: Arc<H>,
    routes: Routes<H::Call>,
    pages: PageRoutes<H::Call>,
    surroundings: Surroundings,
    bodies: Bodies,
    ids: RequestIds,
    kinds: ClientKinds,
    running: Running,
    rates: Arc<Rates>,
    meter: Arc<Meter>,
}

/// What a request asks for.
enum Wanted<C: 'static> {
    Command(Found<C>),
    Page(&'static Page<C>),
}

impl<H: Host> fmt::Debug for Edge<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

impl<H: Host> Edge<H> {
    /// An edge that serves `commands` of `host`.
    ///
    /// # Errors
    /// [`Fault::internal`] when two commands share a name, or a name cannot be a route.
    pub fn new(
        host: Arc<H>,
        commands: &'static [&'static Command<H::Call>],
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, Fault> {
        Self::with_pages(host, commands, Pages::default(), surroundings)
    }

    /// An edge that serves `pages` of `host` too.
    ///
    /// # Errors
    /// As [`Edge::new`]; also when two pages share a path and a method.
    pub fn with_pages(
        host: Arc<H>,
        commands: &'static [&'static Command<H::Call>],
        pages: Pages<H::Call>,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, Fault> {
        let limits = &surroundings.limits;
        Ok(Arc::new(Self {
            host,
            routes: Routes::new(commands)?,
            pages: PageRoutes::new(pages)?,
            bodies: Bodies::new(limits.bodies_bytes_max, limits.body_timeout),
            ids: RequestIds::new(surroundings.rng.clone()),
            kinds: ClientKinds::new(),
            running: Running::default(),
            rates: Arc::new(Rates::new(limits)),
            meter: Arc::new(Meter::new(commands.iter().map(|command| command.spec.name))),
            surroundings,
        }))
    }

    /// What is counted here, and on the listeners that serve it.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    fn find(&self, head: &Parts) -> Result<Wanted<H::Call>, Box<Reply>> {
        let target = route(head.uri.path());
        let posted = head.method == Method::POST;
        let reply = match target {
            Target::Health | Target::Status => self.probe(&head.method, target),
            Target::Base if posted => reply::unknown_command(""),
            Target::Base => reply::wrong_method("request", "POST"),
            Target::Command(name) => match self.routes.find(name) {
                Some(found) if posted => return Ok(Wanted::Command(found)),
                Some(found) => reply::wrong_method(found.name, "POST"),
                None => match self.pages.find(&head.method, head.uri.path()) {
                    Some(FoundPage::Page(page)) => return Ok(Wanted::Page(page)),
                    Some(FoundPage::WrongMethod(reply)) => reply,
                    None => reply::unknown_command(&shown(name)),
                },
            },
        };
        Err(Box::new(reply))
    }

    fn probe(&self, method: &Method, target: Target<'_>) -> Reply {
        let name = if target == Target::Health { "health" } else { "status" };
        let with_body = *method == Method::GET;
        if !with_body && *method != Method::HEAD {
            return reply::wrong_method(name, "GET, HEAD");
        }
        match (&self.surroundings.status, target) {
            (Some(status), Target::Status) => reply::probe(StatusCode::OK, &status(), with_body),
            (None, Target::Status) => reply::unknown_command(name),
            _ => reply::health((self.surroundings.ready)(), with_body),
        }
    }

    async fn call(&self, found: Found<H::Call>, peer: Peer, head: Parts, body: Incoming) -> Reply {
        let request = match self.ids.next() {
            Ok(request) => request,
            Err(failed) => return reply::failure(found.name, &failed.into(), None),
        };
        match self.outcome(found, peer, request, &head, body).await {
            Ok(answer) => reply::success(found.success, answer, request),
            Err(fault) => reply::failure(found.name, &fault, Some(request)),
        }
    }

    async fn outcome(
        &self,
        found: Found<H::Call>,
        peer: Peer,
        request: RequestId,
        head: &Parts,
        body: Incoming,
    ) -> Result<Answer, Fault> {
        let spec = &found.command.spec;
        let received = self.surroundings.clock.now();
        let client_address = self.client(peer, head);
        let body = self.within_rate(client_address, head, body).await?;
        let args = self.args(spec, head, body).await;
        let prepared = args.and_then(|args| {
            let token = token::find(&args, spec.body, &head.headers, head.uri.query())?;
            Ok((args, token))
        });
        let (args, token) = prepared.inspect_err(|fault| call::log(request, spec.name, fault))?;
        let counted = self.counted(spec, token.as_deref())?;
        let client_kind = self.kinds.of(&head.headers);
        let command = found.name;
        let info = RequestInfo { token, client_address, client_kind, command, request, received };
        let run = call::run(self.host.clone(), found.command, info, args, counted);
        self.to_its_end(client_address, request, spec.name, Box::pin(run)).await
    }

    async fn page(
        &self,
        page: &'static Page<H::Call>,
        peer: Peer,
        head: Parts,
        body: Incoming,
    ) -> Reply {
        match self.ids.next() {
            Ok(request) => {
                let outcome = self.shown(page, peer, request, &head, body).await;
                self.pages.reply(outcome, Some(request))
            }
            Err(failed) => self.pages.reply(Err(failed.into()), None),
        }
    }

    async fn shown(
        &self,
        page: &'static Page<H::Call>,
        peer: Peer,
        request: RequestId,
        head: &Parts,
        body: Incoming,
    ) -> Result<PageAnswer, Fault> {
        let received = self.surroundings.clock.now();
        let client_address = self.client(peer, head);
        let body = self.within_rate(client_address, head, body).await?;
        let fields = self.fields(page, head, body).await;
        let fields = fields.inspect_err(|fault| call::log(request, page.path, fault))?;
        let sent = PageRequest { fields, cookies: form::cookies(&head.headers) };
        let info = RequestInfo {
            token: None,
            client_address,
            client_kind: self.kinds.browser(),
            command: page.path,
            request,
            received,
        };
        let show = call::show(self.host.clone(), page, info, sent);
        self.to_its_end(client_address, request, page.path, Box::pin(show)).await
    }

    async fn fields(
        &self,
        page: &Page<H::Call>,
        head: &Parts,
        body: Incoming,
    ) -> Result<Vec<(String, String)>, Fault> {
        if page.method == PageMethod::Get {
            self.bodies.discard(&head.headers, body).await;
            return form::parse_form(head.uri.query().unwrap_or_default().as_bytes());
        }
        if !form::is_form(&head.headers) {
            self.bodies.discard(&head.headers, body).await;
            return Err(Fault::new(FaultKind::UnsupportedType, "the body must be a form"));
        }
        let received = self.bodies.receive(&head.headers, body).await?;
        if received.as_ref().len() > page.form_bytes_max {
            let most = page.form_bytes_max;
            let text = format!("the form is larger than {most} bytes; start again");
            return Err(Fault::new(FaultKind::TooLarge, text));
        }
        form::parse_form(received.as_ref())
    }

    fn client(&self, peer: Peer, head: &Parts) -> IpAddr {
        client_address(peer, &head.headers, &*self.surroundings.trusted_proxy)
    }

    /// The body back, if its client may make a request now.
    async fn within_rate(
        &self,
        client: IpAddr,
        head: &Parts,
        body: Incoming,
    ) -> Result<Incoming, Fault> {
        let Err(fault) = self.rates.of_address(client, Instant::now()) else { return Ok(body) };
        self.limited();
        self.bodies.discard(&head.headers, body).await;
        Err(fault)
    }

    fn begin_trace(&self, head: &Parts) -> Option<(&Traces, Started)> {
        let Surroundings { traces, rng, clock, .. } = &self.surroundings;
        let traces = traces.as_ref()?;
        Some((traces, traces.begin(&head.headers, &**rng, clock.now())?))
    }

    fn limited(&self) {
        self.meter.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// What counts the call for its identity, if that may make one now. A command that needs no
    /// token is counted for nobody: anybody can send one along.
    fn counted(&self, spec: &Spec, token: Option<&str>) -> Result<Option<Counted>, Fault> {
        let counts = spec.access != Access::Open && self.rates.count_identities();
        let Some(token) = token.filter(|_| counts) else { return Ok(None) };
        let counted = Counted::new(self.rates.clone(), self.host.identity_of(token));
        counted.inspect_err(|_| self.limited()).map(Some)
    }

    /// Runs `work`, whether or not its client stays.
    async fn to_its_end<T: Send + 'static>(
        &self,
        client: IpAddr,
        request: RequestId,
        name: &str,
        work: BoxFuture<'static, Result<T, Fault>>,
    ) -> Result<T, Fault> {
        // A client could otherwise start calls without end by leaving each at once.
        let share = self.running.begin(client, self.surroundings.limits.calls_per_address_max)?;
        match Unstoppable::new(work, &self.running, share).await {
            Ok(outcome) => outcome,
            Err(panicked) => {
                let fault = Fault::internal(panicked);
                call::log(request, name, &fault);
                Err(fault)
            }
        }
    }

    async fn args(&self, spec: &Spec, head: &Parts, body: Incoming) -> Result<Args, Fault> {
        // Tools that send nothing still declare it to be a form.
        if !body.is_end_stream() && !body::is_json(&head.headers) {
            self.bodies.discard(&head.headers, body).await;
            return Err(Fault::new(
                FaultKind::UnsupportedType,
                "the body must be JSON; send it with Content-Type: application/json",
            ));
        }
        let received = self.bodies.receive(&head.headers, body).await?;
        parse_body(spec, received.as_ref())
    }
}

impl<H: Host> Handler for Edge<H> {
    async fn handle(self: Arc<Self>, peer: Peer, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let answering = self.meter.begin();
        let traced = self.begin_trace(&head);
        let version = head.version;
        let (name, mut reply) = match self.find(&head) {
            Ok(Wanted::Command(found)) => {
                (found.command.spec.name, self.call(found, peer, head, body).await)
            }
            Ok(Wanted::Page(page)) => (meter::OTHER, self.page(page, peer, head, body).await),
            Err(reply) => {
                self.bodies.discard(&head.headers, body).await;
                (meter::OTHER, *reply)
            }
        };
        let took = answering.answered(name, reply.status());
        if let Some((traces, started)) = traced {
            let ended = (reply.status().as_u16(), reply::request_id(&reply));
            traces.end(started, name, took, ended);
        }
        // Who is about to go sends clients elsewhere. HTTP/2 says so in a way of its own.
        if version < Version::HTTP_2 && (self.surroundings.ready)().is_err() {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        (self.surroundings.trusted_proxy)(peer)
    }

    fn orphans(&self) -> &TaskTracker {
        self.running.orphans()
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}
