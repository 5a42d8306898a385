//! The binary `keysherd` as a process of its own, attacked from outside: over HTTPS, by signals,
//! by full disks, and with its files in the hands of others.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

mod kit;

mod canary;
mod configuration;
mod crash;
mod disk_full;
mod first_start;
mod interrupted;
mod stopping;
mod walk;
