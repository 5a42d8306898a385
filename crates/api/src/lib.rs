//! The public commands, one file each, and the use cases behind them.
//!
//! A command file turns arguments into domain values, calls one use case, and renders the answer
//! in the V2 shape. Plaintext exists here and in the gateway that implements [`Crypt`], nowhere
//! below.

mod browser;
mod budget;
mod caching;
mod certificate;
mod configs;
mod crypt;
mod ctx;
mod defaults;
mod fields;
mod forwarding;
mod kept;
mod limited;
mod offline;
mod replies;
mod secure_access;
mod standing;
mod strength;

pub mod commands;
pub mod engines;
pub mod passwords;

pub use browser::{BrowserLogins, pages};
pub use budget::AnswerBudget;
pub use caching::{CACHE_CONFIG, CACHE_MINUTES_MAX, CachePolicy};
pub use certificate::{CERTIFICATE_CONFIG, CertificateWish, NoCertificate, PublicCertificate};
pub use configs::{Config, ConfigName, Configs, NoConfigs, in_no_cluster};
pub use crypt::{
    Crypt, Freshness, GeneratedKey, HeldFragment, KeyWish, ManagerSaid, OpenedForUse, OpenedItem,
    OpenedValue, RotateWish, SealedWrite, TakenOrder, TransitMessage, TransitResult,
};
pub use ctx::{Ctx, Recorded, Services};
pub use defaults::{DEFAULTS_CONFIG, Defaults, LoginDefaults, location};
pub use forwarding::{
    Beginning, Forwarder, ForwarderState, Forwarding, LogReader, NoForwarding, ReaderAdmitted,
};
pub use kept::forget_gone;
pub use limited::Limited;
pub use offline::{OFFLINE_CONFIG, OFFLINE_MINUTES_MAX, OFFLINE_PATHS_MAX, OfflinePolicy};
pub use standing::{NoStanding, Standing};
