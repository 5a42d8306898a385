//! The engine for many control nodes: a PostgreSQL server, or a cluster with one primary.
//!
//! It behaves as the embedded engine does. One writer at a time, over all nodes: each writing
//! transaction begins by taking an advisory lock, so there are no deadlocks, no serialization
//! failures, and nothing to retry. Everything is read on the primary.
//!
//! The driver is asynchronous and the store's closures are not: connections are driven by a thread
//! of their own ([`Server`]), and whoever asks waits for the answer.

mod commit;
mod connection;
mod errors;
mod schema;
mod server;
mod settings;
mod tls;
mod values;
mod whole;

pub(crate) use connection::Connection;
pub(crate) use server::{Server, park_until};
pub use settings::PostgresSettings;
pub(crate) use tokio_postgres::Row;
pub(crate) use values::value;
pub(crate) use whole::{DAMAGE, LAST_NUMBER, SET_LAST_NUMBER};
