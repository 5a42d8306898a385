//! The fragment protocol, suite 1: sans-IO state machines and messages.
//!
//! A key that protects data exists only as fragments at n fragment managers, any t of which derive
//! with it, and a customer fragment at the gateway. What is derived, a key for one version of one
//! item, is the HKDF of three legs: S (symmetric, post-quantum), G (group, provable, refreshable)
//! and C (customer). All three must fail before a key is known.
//!
//! Nothing here does IO, reads a clock or draws randomness: both are handed in. The design, with
//! its reasons, formats and limits, is the specification of suite 1; section numbers in the
//! documentation of this crate are its.
//!
//! - what is derived: [`context`], [`leg_s`], [`leg_g`], [`leg_c`], [`combine`], [`dleq`]
//! - what is signed: [`permit`], [`bundle`], [`order`], [`manifest`], [`mod@derive`], all in one
//!   [`encoding`]
//! - how machines ask to be trusted: [`enrollment`], [`owner_key`]
//! - how customer fragments are kept: [`fragment_file`], [`recovery_share`]
//! - who does what: [`manager_side`], [`gateway_side`], [`keygen`], [`refresh`], [`repair`],
//!   speaking [`messages`]

pub mod bundle;
pub mod checkpoint;
pub mod combine;
pub mod context;
pub mod derive;
pub mod dleq;
pub mod encoding;
pub mod enrollment;
pub mod epoch;
pub mod escrow;
pub mod fragment_file;
pub mod gateway_side;
pub mod interpolation;
pub mod keygen;
pub mod labels;
pub mod leg_c;
pub mod leg_g;
pub mod leg_s;
pub mod manager_set;
pub mod manager_side;
pub mod manifest;
pub mod member;
pub mod messages;
pub mod order;
pub mod owner_key;
pub mod recovery_share;
pub mod refresh;
pub mod refusal;
pub mod repair;
pub mod share;

/// The permit. It is defined where control can reach it too, which must not depend on this crate.
pub use keysherd_crypto::permit;

#[cfg(test)]
mod vectors;
