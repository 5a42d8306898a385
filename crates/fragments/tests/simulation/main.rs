//! The protocol among managers, a gateway, a control plane and an owner in memory: every message
//! goes through its bytes, some managers lie, some are down.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod caps;
mod checks;
mod cluster;
mod deals;
mod generation;
mod manager;
mod reading;
mod succession;
mod writing;
