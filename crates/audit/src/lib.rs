//! Audit records: what they hold, their one encoding, and the hash chain that holds them together.
//!
//! A use case fills in a [`Draft`]; the store gives it its place and makes it a [`Record`]. There
//! is one chain per account (see [`chain`]), and its newest link is signed as a [`Head`].
//! No IO, no cryptographic library: hash function, signer and verifier are handed in.

pub mod action;
mod brief;
pub mod chain;
mod draft;
mod export;
mod filter;
mod line;
mod permits;
mod published;
mod record;
mod segment;
mod verify;

pub use brief::{Brief, Place};
pub use chain::{HEAD_LABEL, HashFn, Head, LINK_LABEL, Link, NO_LINK, SignedHead};
pub use draft::{Draft, Failure, Param, Prepared, TEXT_BYTES_MAX};
pub use export::{
    BadExport, EXPORT_LABEL, EXPORT_LINE_BYTES_MAX, ExportHeader, ExportReader, ExportSeal,
    ExportVerdict, HeadFields, NO_DIGEST, export_digest, export_line,
};
pub use filter::{Filter, StatusFilter, Term, terms_of};
pub use permits::{ExplainedPermits, PERMITS_PARAM};
pub use published::Published;
pub use record::{BadRecord, Record};
pub use segment::{SEGMENT_LEN, Segment, SegmentBuilder};
pub use verify::{ChainVerifier, Finding, Verified};
