//! What the role around the edge contributes to each request.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use keysherd_base::{Fault, RequestId, Timestamp};

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the edge knows about one request before its command runs.
#[derive(Clone)]
pub struct RequestInfo {
    /// The token as sent, unchecked; at most [`keysherd_base::limits::TOKEN_BYTES_MAX`] bytes.
    pub token: Option<Arc<str>>,
    /// The client's address: of the connection, or as told by a trusted proxy.
    pub client_address: IpAddr,
    /// What kind of program calls, such as `sdk` or `cli`; 1 to 64 printable ASCII characters.
    pub client_kind: Arc<str>,
    /// The command's name that was called: its current one or an older spelling, as declared.
    pub command: &'static str,
    /// The id of this request in logs, audit records and the answer.
    pub request: RequestId,
    /// When its head arrived.
    pub received: Timestamp,
}

impl fmt::Debug for RequestInfo {
    // By hand, because the token must not be printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo")
            .field("token", &self.token.as_ref().map(|_| "[secret]"))
            .field("client_address", &self.client_address)
            .field("client_kind", &self.client_kind)
            .field("command", &self.command)
            .field("request", &self.request)
            .field("received", &self.received)
            .finish()
    }
}

/// Bytes that tell one identity from another.
pub const IDENTITY_BYTES: usize = 24;

/// The role that serves the commands.
pub trait Host: Send + Sync + 'static {
    /// What a command runs in, made for each request.
    type Call: Clone + Send + Sync + 'static;

    /// Whom a token says that it belongs to, unchecked; `None` when it says nothing. It must not
    /// block.
    fn identity_of(&self, token: &str) -> Option<[u8; IDENTITY_BYTES]> {
        let _says_nothing = token;
        None
    }

    /// Makes the context of one call. It must not block.
    fn open(&self, info: RequestInfo) -> Self::Call;

    /// Whom the token of a call belongs to that says nothing by itself; `None` when that is not
    /// known now.
    ///
    /// # Errors
    /// The token is not good; the call ends with that.
    fn identify<'a>(
        &'a self,
        call: &'a Self::Call,
    ) -> BoxFuture<'a, Result<Option<[u8; IDENTITY_BYTES]>, Fault>> {
        let _is_not_known = call;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether somebody who can tell has found the token of this call to be good, though the call
    /// fails. Calls whose token nobody found good are not counted for its identity.
    fn accepted(&self, call: &Self::Call) -> bool {
        let _nobody_has = call;
        false
    }

    /// Makes sure that the call has its audit record, whatever came of it.
    ///
    /// Runs once for each opened call, also when the command panicked or the client went away.
    /// The answer leaves only after it.
    ///
    /// # Errors
    /// The record could not be made durable; the client then gets 503 instead of the answer.
    fn finish<'a>(
        &'a self,
        call: &'a Self::Call,
        outcome: Result<(), &'a Fault>,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}
