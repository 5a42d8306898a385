//! The edge as its clients see it: a toy list of commands behind real sockets.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

mod bodies;
mod clients;
mod errors;
mod hostile;
mod http2;
mod identity;
mod lifecycle;
mod pages;
mod proofs;
mod routes;
mod support;
mod tls;
mod toy;
