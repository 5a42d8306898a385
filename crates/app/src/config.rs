//! Configuration of the roles: one file per concern, each read and validated by the same function.

pub(crate) mod account;
pub(crate) mod audit;
mod data_dir;
pub(crate) mod server;
