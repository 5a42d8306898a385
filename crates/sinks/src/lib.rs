//! The family of log targets: where a gateway sends the audit log.
//!
//! A member is one file under `sinks/` and two lines in `sinks.rs`. It says what it is called,
//! which settings it has, which of them are shown, and how lines get there. Everything else is
//! written once for all of them: commands (`api`), reading the log, cursors, waiting and trying
//! again (`gateway`), and here the HTTP client and the streams.
//!
//! An [`Outlet`] says "delivered" only when its receiver did: by an answer, or, on a plain
//! stream, by hanging up after it has read everything. A datagram has no receipt.

mod conformance;
mod fields;
mod http;
mod line;
mod member;
mod settings;
mod sinks;
mod spans;
mod stream;
#[cfg(test)]
mod testing;

pub use conformance::complaints;
pub use keysherd_wire::Settings;
pub use line::{Batch, Format, Line};
pub use member::{Kind, Outlet, Receiver, Shown, Sink, Undelivered, Way};
pub use settings::merged;
pub use sinks::{all, by_name};
pub use spans::{SpanExport, SpanRecord};

/// A future that a member answers with.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
