//! The generic edge: listener, TLS, limits, JSON, error shape. It is given a list of commands and
//! knows none.
//!
//! An [`Edge`] turns requests into calls of commands and their outcomes into answers; a
//! [`Listener`] brings it connections. What only the role around it knows (who calls, whether the
//! call was recorded) comes in through [`Host`]. Several listeners may share one edge.
//!
//! Order of one request: route, body, JSON, token, [`Host::open`], required fields, the command,
//! [`Host::finish`], answer. From `open` on the work goes on when the client goes away.

mod body;
mod call;
mod config;
mod connection;
mod echo;
mod edge;
mod form;
mod host;
mod json;
mod listener;
mod origin;
mod pages;
mod probe;
mod registry;
mod reply;
mod request_ids;
mod route;
mod running;
mod tls;
mod token;
mod workers;

pub use config::{Limits, Surroundings, Transport, Workers};
pub use edge::Edge;
pub use form::{COOKIES_MAX, parse_cookies, parse_form};
pub use host::{BoxFuture, Host, RequestInfo};
pub use json::parse_body;
pub use listener::{Drained, Listener};
pub use probe::probe;
pub use reply::error_text;
pub use route::{Target, route};
pub use tls::{ClientCertificates, TlsReload, TlsVersions};
