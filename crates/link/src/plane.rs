//! The control plane behind a link: its messages in a compact encoding, and when one is repeated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Fault, SecretBytes};
use keysherd_plane::{BoxFuture, Caller, Plane, PlaneHandle, Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::Channel;
use crate::error::LinkError;
use crate::limits::CallLimits;
use crate::peer::Peer;
use crate::routes;
use crate::service::Service;

/// Largest message to the plane: a batch of wishes with their tokens, or one sealed value.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest reply: one read (`limits::READ_BYTES_MAX`) or one page of a listing, with what stands
/// around it, for several callers in one batch.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a reply may take. Control answers in milliseconds; a large change takes seconds.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

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
            let (caller, message) = decode::<(Caller, Request)>(request.expose())
                .ok_or_else(|| Fault::bad_request("not a message to the control plane"))?;
            drop(request);
            let reply = plane.call(caller, message).await?;
            encode(&reply).map(SecretBytes::new)
        })
    }
}

/// The control plane at the other end of a channel.
pub struct RemotePlane {
    channel: Channel,
}

impl RemotePlane {
    /// The plane behind `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    async fn ask(&self, caller: Caller, request: Request) -> Result<Reply, Fault> {
        let repeats = usize::from(only_reads(&request));
        let name = request.name();
        let encoded = encode(&(caller, request))?;
        let limits = CallLimits { timeout: REPLY_TIMEOUT, answer_bytes_max: REPLY_BYTES_MAX };
        let mut tries = 0;
        loop {
            let message = SecretBytes::new(encoded.clone());
            match self.channel.call(routes::PLANE, message, limits).await {
                Ok(answer) => {
                    return decode(answer.expose()).ok_or_else(|| {
                        Fault::internal(format!("the reply to {name} cannot be read"))
                    });
                }
                // Control restarted in the middle of it: reading twice does no harm.
                Err(LinkError::Lost(why)) if tries < repeats => {
                    tracing::debug!(name, why, "asking again");
                    tries += 1;
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

/// Whether a message changes nothing but the audit log, where a second record is no lie: it was
/// asked twice. New messages are not repeated unless they are named here.
fn only_reads(request: &Request) -> bool {
    matches!(
        request,
        Request::PasswordParams(_)
            | Request::ValidateToken(_)
            | Request::DescribeClaims(_)
            | Request::OwnEmail(_)
            | Request::MethodGet(_)
            | Request::MethodList(_)
            | Request::RoleGet(_)
            | Request::RoleList(_)
            | Request::AssocGet(_)
            | Request::PermissionsDescribe(_)
            | Request::ReverseRbac(_)
            | Request::AccountGet(_)
            | Request::ManifestGet(_)
            | Request::Grant(_)
            | Request::ItemDescribe(_)
            | Request::ItemList(_)
            | Request::FolderGet(_)
    )
}

fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Fault> {
    postcard::to_allocvec(message)
        .map_err(|error| Fault::internal(format!("a plane message cannot be encoded: {error}")))
}

/// The message that `bytes` are, all of them.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (message, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(message)
}
