//! Items, folders, roles, auth methods and accounts as values, and the policy decision over them.
//!
//! Pure and synchronous: no IO, no clock, no randomness. Nothing here knows the public API's field
//! names; the edges translate.

pub mod account;
pub mod advice;
pub mod auth_method;
pub mod claims;
pub mod cluster;
pub mod credential_lease;
pub mod credential_rotation;
pub mod engine;
pub mod folder;
pub mod gateway_access;
pub mod group;
pub mod guard_rails;
pub mod item;
pub mod lease;
pub mod policy;
pub mod role;
pub mod rotated_secret;
pub mod target;
pub mod uid;
