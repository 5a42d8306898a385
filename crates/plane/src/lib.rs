//! What a gateway asks of the control plane: one message per use case, and the [`Plane`] they go
//! to.
//!
//! The messages can express ciphertext, verifiers and metadata, and nothing that could be read: no
//! type here holds a plaintext value, a key or a customer fragment. They are plain serializable
//! values, so the in-process plane and the one behind mutual TLS take the same ones.

mod caller;
mod claimed;
mod octets;
mod reading;
mod request;
mod unprinted;
mod warned;

pub mod accounts;
pub mod admission;
pub mod advice;
pub mod alerts;
pub mod audit_log;
pub mod auth;
pub mod auth_methods;
pub mod browser;
pub mod cache;
pub mod challenges;
pub mod clusters;
pub mod configs;
pub mod confirm;
pub mod credential_leases;
pub mod credential_rotations;
pub mod explain;
pub mod gateway_access;
pub mod grants;
pub mod groups;
pub mod items;
pub mod keys;
pub mod merge;
pub mod refresh;
pub mod roles;
pub mod rotation;
pub mod second_factor;
pub mod setup;
pub mod target_assocs;
pub mod uid;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use keysherd_base::Fault;

pub use caller::{About, Audited, Caller, Client, NOTE_ABOUT_MAX, Note};
pub use claimed::{MethodBytes, claimed_method, method_bytes};
pub use request::{
    AccessReply, AccessRequest, Ask, Done, EngineReply, EngineRequest, GatewayReply,
    GatewayRequest, ItemReply, ItemRequest, KeyReply, KeyRequest, RecordReply, RecordRequest,
    Reply, Request, SessionReply, SessionRequest,
};
pub use warned::Warned;

/// A boxed future, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The control plane as a gateway sees it.
pub trait Plane: Send + Sync {
    /// Authorizes, decides, records and audits one request.
    ///
    /// When this returns, success or failure, the audit record of the request is durable, unless
    /// the request's own documentation says that it writes none.
    ///
    /// # Errors
    /// [`Fault`] with the text the caller may read.
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>>;
}

/// A shared plane.
pub type PlaneHandle = Arc<dyn Plane>;

impl dyn Plane + '_ {
    /// [`Plane::call`] with the reply's own type.
    ///
    /// # Errors
    /// As [`Plane::call`]; [`Fault::internal`] when the plane answers another question.
    pub async fn ask<A: Ask>(&self, caller: Caller, message: A) -> Result<A::Reply, Fault> {
        let reply = self.call(caller, message.into()).await?;
        A::from_reply(reply).ok_or_else(|| Fault::internal("the plane answered another question"))
    }
}
