//! `keysherd control`, `keysherd fragments`, `keysherd gateway`: each role as a process of its own,
//! joined to the others by mutual TLS with keys that the owner's bundle names.

pub(crate) mod carry;
pub(crate) mod control;
pub(crate) mod enroll;
pub(crate) mod fragments;
pub(crate) mod gateway;
pub(crate) mod setup;
