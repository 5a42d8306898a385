//! `keysherd server`: every role on one machine, joined in one process.

mod announce;
mod hangup;
mod roles;
mod run;
mod trust;

pub(crate) use run::{create_account, run};
