//! `keysherd server`: every role on one machine, joined in one process.

mod bootstrap;
mod files;
mod links;
mod roles;
mod run;
mod trust;

pub(crate) use run::run;
