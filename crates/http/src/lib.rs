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
mod durations;
mod echo;
mod edge;
mod exposition;
mod form;
mod greeting;
mod host;
mod json;
mod listener;
mod meter;
mod origin;
mod pages;
mod probe;
mod proxy_header;
mod rates;
mod registry;
mod reply;
mod request_ids;
mod route;
mod running;
mod scrape;
mod tls;
mod token;
mod trace;
mod workers;

pub use config::{Limits, Ready, Surroundings, Transport, Workers};
pub use durations::Durations;
pub use edge::Edge;
pub use exposition::{Exposition, Family, Kind, float};
pub use form::{COOKIES_MAX, parse_cookies, parse_form};
pub use host::{BoxFuture, Host, IDENTITY_BYTES, RequestInfo};
pub use json::parse_body;
pub use listener::{Drained, Ending, Listener};
pub use meter::Meter;
pub use probe::{Seen, look, probe};
pub use proxy_header::{PROXY_HEADER_BYTES_MAX, ProxyHeader, parse_proxy_header};
pub use reply::error_text;
pub use route::{Target, route};
pub use scrape::Scrape;
pub use tls::{ClientCertificates, TlsReload, TlsVersions};
pub use trace::{Span, TraceParent, Traces, parse_traceparent};
