//! The family of engines: each makes credentials for a while on one kind of target, and removes
//! them.
//!
//! A member is one file under `engines/` and two lines in `engines.rs`. It says what it is called,
//! which settings it has and how V2 shows them, and what it does on its target. Commands, leases,
//! their ends and trying again are written once, elsewhere.
//!
//! The order of things is what keeps users from being left behind: [`Engine::plan`] draws the name
//! of what will be made, without any IO; its handle is in a durable lease before
//! [`Engine::create`] touches the target; and [`Engine::revoke`] finds what to remove by nothing
//! but that handle, as often as it is asked. Names end with a part of the lease's id, so that no
//! two leases share one, and nothing is removed whose name does not ([`is_handle`]).

mod arguments;
mod conformance;
mod driver;
mod engines;
mod exec;
mod fields;
mod google;
mod host_key;
mod kind;
mod lint;
mod member;
mod name;
mod password;
mod person;
mod postgres;
pub mod rotator;
pub mod rotators;
mod said;
mod statements;
mod template;
#[cfg(test)]
mod testing;
pub mod vouching;
mod windows;

pub use conformance::complaints;
pub use engines::{all, by_name};
pub use fields::password_policy;
pub use keysherd_targets::{BoxFuture, Endpoints, Identity, Settings, Spelling, Voucher, Way};
pub use kind::{Kind, details};
pub use member::{
    ClusterFacts, Created, Engine, NOT_LET_IN, NOT_REACHED, Plan, Scene, TargetUse, Wish,
    is_untouched,
};
pub use name::is_handle;
pub use said::check_wish;
