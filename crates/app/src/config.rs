//! Configuration of the roles: one file per concern, each read and validated by the same function.

pub(crate) mod server;
