//! The gateway role: the only place where plaintext meets a key.
//!
//! It asks the control plane for grants and permits, the fragment managers for derivations, and
//! hosts the public commands. It keeps no store, but for values that wait for confirmation.

mod batcher;
mod cache;
mod cluster_configs;
mod configs;
mod confirming;
mod customer;
mod derive;
mod duty;
mod files;
mod first_settings;
mod forwarding;
mod gateway;
mod health;
mod host;
mod incidents;
mod key_cache;
mod keygen;
mod leases;
mod links;
mod logs;
mod managers;
mod membership;
mod moment;
mod needs;
mod on_targets;
mod orders;
mod reader;
mod revoking;
mod rewrap;
mod rotating;
mod seen;
mod spool;
mod tenants;
mod transit;
mod vouching;
mod writer;

pub use cache::cold::CopyKey;
pub use cache::policies::follow_read_policies;
pub use cache::{CacheHealth, CacheSettings};
pub use cluster_configs::{
    BringIn, BroughtIn, CARRIED_BYTES_MAX, CarriedConfig, Change, ChangeKind, ClusterConfigs,
};
pub use configs::{ConfigStore, Looked, forget_gone_methods};
pub use confirming::Confirmed;
pub use customer::{
    CustomerFragments, FRAGMENT_BINDING, FRAGMENT_DAMAGED, FRAGMENT_MISSING, FRAGMENT_REQUIRED,
    FRAGMENT_UNAVAILABLE, FRAGMENT_WRONG, FragmentModule,
};
pub use duty::Duty;
pub use first_settings::{FirstDefaults, FirstSettings};
pub use forwarding::{FORWARDER, Forwarders};
pub use gateway::{Gateway, GatewayConfig, GatewayHealth, OriginalKey, Strictness};
pub use health::ManagerHealth;
pub use host::GatewayHost;
pub use links::{ManagerLink, Unreachable};
pub use logs::LogFinding;
pub use managers::Links;
pub use membership::{
    CLIENT_TYPE, Membership, MembershipConfig, MembershipHealth, OwnUid, OwnUidSettings, Proof,
    ROTATE_EVERY, RequestsUnder,
};
pub use vouching::ClusterIdentity;
