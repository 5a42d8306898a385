//! `keysherd server`: every role on one machine, joined in one process.

mod announce;
mod bootstrap;
mod files;
mod links;
mod roles;
mod run;
mod tls;
mod trust;

pub(crate) use run::{create_account, run};
