//! The messages of the plane as bytes: compact, in the order of their fields, without names.
//!
//! Both ends must know the same messages; `wire::SPOKEN` stands for what they know.

use keysherd_base::Fault;
use keysherd_plane::{Caller, Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message to the plane.
///
/// # Errors
/// [`Fault::internal`] when it cannot be encoded, which is a defect.
pub fn write_request(caller: &Caller, request: &Request) -> Result<Vec<u8>, Fault> {
    encode(&(caller, request))
}

/// The message that `bytes` are, all of them.
pub fn read_request(bytes: &[u8]) -> Option<(Caller, Request)> {
    decode(bytes)
}

/// A reply of the plane.
///
/// # Errors
/// As [`write_request`].
pub fn write_reply(reply: &Reply) -> Result<Vec<u8>, Fault> {
    encode(reply)
}

/// The reply that `bytes` are, all of them.
pub fn read_reply(bytes: &[u8]) -> Option<Reply> {
    decode(bytes)
}

/// A fault: its public half.
///
/// # Errors
/// As [`write_request`].
pub fn write_fault(fault: &Fault) -> Result<Vec<u8>, Fault> {
    encode(fault)
}

/// The fault that `bytes` are, all of them.
pub fn read_fault(bytes: &[u8]) -> Option<Fault> {
    decode(bytes)
}

fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Fault> {
    postcard::to_allocvec(message)
        .map_err(|error| Fault::internal(format!("a message cannot be encoded: {error}")))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (message, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(message)
}
