//! Tests of the whole crate: two ends in one process, joined by real sockets.

mod bundle;
mod calls;
mod certificates;
mod failures;
mod hostile;
mod limits;
mod plane;
mod proxy;
mod raw;
mod relay;
mod rig;
mod tls;
mod trust;
