//! The control plane behind a link: its messages in a compact encoding, and when one is repeated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::limits::READ_BYTES_MAX;
use keysherd_base::{Fault, SecretBytes};
use keysherd_plane::grants::{Grant, GrantReply};
use keysherd_plane::{
    BoxFuture, Caller, GatewayRequest, ItemReply, ItemRequest, Plane, PlaneHandle, Reply, Request,
};

use crate::channel::Channel;
use crate::error::LinkError;
use crate::limits::CallLimits;
use crate::peer::Peer;
use crate::routes;
use crate::service::Service;
use crate::wire;

pub mod codec;
mod portions;

/// Largest message to the plane: a batch of wishes with their tokens, or one sealed value.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest reply: one read (`limits::READ_BYTES_MAX`) on top of a full grant, or one page of a
/// listing, with what stands around it.
const REPLY_BYTES_MAX: usize = 80 * 1024 * 1024;
/// Ciphertext in the reply to one grant, in bytes; what is beyond it is asked for again.
const GRANT_BYTES_MAX: usize = READ_BYTES_MAX;
/// How long a reply may take. Control answers in milliseconds; a large change takes seconds.
/// The largest of them are slow where nothing is optimized.
const REPLY_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 300 } else { 30 });

/// The plane that a gateway with a certain key may use.
pub trait PlaneDoor: Send + Sync {
    /// The plane for `peer`, which binds permits to its key.
    ///
    /// # Errors
    /// [`Fault`] when it may use none.
    fn plane_for(&self, peer: &Peer) -> Result<PlaneHandle, Fault>;
}

impl<F: Fn(&Peer) -> Result<PlaneHandle, Fault> + Send + Sync> PlaneDoor for F {
    fn plane_for(&self, peer: &Peer) -> Result<PlaneHandle, Fault> {
        self(peer)
    }
}

/// Serves [`routes::PLANE`] with local planes.
pub struct PlaneService {
    door: Arc<dyn PlaneDoor>,
}

impl PlaneService {
    /// Serves each gateway with the plane behind `door`.
    pub fn new(door: Arc<dyn PlaneDoor>) -> Self {
        Self { door }
    }
}

impl Service for PlaneService {
    fn request_bytes_max(&self) -> usize {
        REQUEST_BYTES_MAX
    }

    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            let plane = self.door.plane_for(&peer)?;
            let (caller, message) = codec::read_request(request.expose())
                .ok_or_else(|| Fault::bad_request("not a message to the control plane"))?;
            drop(request);
            let mut reply = plane.call(caller, message).await?;
            if let Reply::Items(ItemReply::Grant(grant)) = &mut reply {
                portions::trim(grant, GRANT_BYTES_MAX);
            }
            codec::write_reply(&reply).map(SecretBytes::new)
        })
    }
}

/// The control plane at the other end of a channel, or of two.
pub struct RemotePlane {
    channel: Channel,
    /// What listens for changes: its calls must not wait behind those that tenants keep under way.
    listening: Channel,
}

impl RemotePlane {
    /// The plane behind `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { listening: channel.clone(), channel }
    }

    /// The same, which listens for changes over a channel of its own.
    #[must_use]
    pub fn listening_through(mut self, channel: Channel) -> Self {
        self.listening = channel;
        self
    }

    async fn ask(&self, caller: Caller, request: Request) -> Result<Reply, Fault> {
        match request {
            Request::Items(ItemRequest::Grant(grant)) => {
                self.grant(caller, grant).await.map(|reply| Reply::Items(ItemReply::Grant(reply)))
            }
            request => self.exchange(&caller, &request).await,
        }
    }

    /// Asks until every wish has its outcome.
    async fn grant(&self, caller: Caller, grant: Grant) -> Result<GrantReply, Fault> {
        let mut asked = Request::Items(ItemRequest::Grant(grant));
        let mut all: Option<GrantReply> = None;
        // Where the outcomes of the message under way belong.
        let mut places: Vec<usize> = Vec::new();
        loop {
            let Reply::Items(ItemReply::Grant(reply)) = self.exchange(&caller, &asked).await?
            else {
                return Err(Fault::internal("the plane answered another question"));
            };
            let Request::Items(ItemRequest::Grant(wishes)) = &asked else {
                return Err(Fault::internal("no grant"));
            };
            let rest = portions::rest(wishes, &reply);
            let joined = match all.take() {
                None => reply,
                Some(mut joined) => {
                    portions::join(&mut joined, &places, reply)?;
                    joined
                }
            };
            let Some((of_wishes, grant)) = rest else { return Ok(joined) };
            places = match places.as_slice() {
                [] => of_wishes,
                before => of_wishes.iter().filter_map(|at| before.get(*at).copied()).collect(),
            };
            asked = Request::Items(ItemRequest::Grant(grant));
            all = Some(joined);
        }
    }

    async fn exchange(&self, caller: &Caller, request: &Request) -> Result<Reply, Fault> {
        let message = wire::body(SecretBytes::new(codec::write_request(caller, request)?));
        let limits = CallLimits { timeout: REPLY_TIMEOUT, answer_bytes_max: REPLY_BYTES_MAX };
        let mut may_repeat = may_repeat(request);
        let channel = match request {
            Request::Gateways(GatewayRequest::ChangesWait(_)) => &self.listening,
            _ => &self.channel,
        };
        loop {
            match channel.call_shared(routes::PLANE, message.clone(), limits).await {
                Ok(answer) => {
                    return codec::read_reply(answer.expose()).ok_or_else(|| {
                        Fault::internal(format!("the reply to {} is unreadable", request.name()))
                    });
                }
                // Control restarted in the middle of it: reading twice does no harm.
                Err(LinkError::Lost(why)) if may_repeat => {
                    tracing::debug!(message = request.name(), why, "asking again");
                    may_repeat = false;
                }
                Err(error) => return Err(error.into_fault("the control plane")),
            }
        }
    }
}

impl fmt::Debug for RemotePlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemotePlane").field(&self.channel).finish()
    }
}

impl Plane for RemotePlane {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(self.ask(caller, request))
    }
}

/// Whether a message may be sent again after its connection broke: it changes nothing but the audit
/// log, where a second record is no lie, because it was asked twice.
fn may_repeat(request: &Request) -> bool {
    use GatewayRequest as G;
    // A journal's reads are recorded once, however often they are brought.
    let harmless = |q: &G| {
        matches!(q, G::ClusterSync(_) | G::ClusterList(_) | G::ChangesWait(_) | G::JournalPut(_))
    };
    request.only_reads() || matches!(request, Request::Gateways(q) if harmless(q))
}
