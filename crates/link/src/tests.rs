//! Tests of the whole crate: two ends in one process, joined by real sockets.

mod calls;
mod rig;
