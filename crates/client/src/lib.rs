//! Caller of the public API: one `POST` per command, JSON both ways.
//!
//! It knows no command. It decides what a base URL means, which certificates are trusted, where
//! the token travels, what may be sent again, and how much of an answer is read. It never skips
//! the check of a certificate; there is no switch for that.

mod call;
mod config;
mod error;
mod retry;
mod url;

#[cfg(test)]
mod tests;

pub use call::{Client, Response};
pub use config::{ClientConfig, Trust};
pub use error::ClientError;
pub use url::BaseUrl;
