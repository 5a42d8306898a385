//! What each role is made of, wherever it runs: `keysherd server` joins all of them in one process,
//! `keysherd control`, `keysherd fragments` and `keysherd gateway` run one each.

mod acme;
pub(crate) mod announced;
pub(crate) mod bootstrap;
pub(crate) mod bundle_file;
pub(crate) mod carrier;
pub(crate) mod certificate;
pub(crate) mod clock_watch;
pub(crate) mod control;
pub(crate) mod files;
pub(crate) mod fragments;
pub(crate) mod gateway;
pub(crate) mod late;
pub(crate) mod listening;
pub(crate) mod local_links;
pub(crate) mod membership;
pub(crate) mod metrics;
pub(crate) mod owner_pin;
pub(crate) mod parties;
pub(crate) mod plane_meter;
pub(crate) mod process;
pub(crate) mod public_edge;
pub(crate) mod receivers;
pub(crate) mod remote_control;
pub(crate) mod remote_managers;
pub(crate) mod role_metrics;
pub(crate) mod tls;
mod traces;
pub(crate) mod trust;
