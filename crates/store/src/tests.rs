//! Tests of the store as a whole.

mod audit_index;
mod behavior;
mod chain;
mod changes;
mod clusters;
mod commit;
mod cost;
mod credential_leases;
mod credential_rotations;
mod durability;
pub(crate) mod fixture;
mod journals;
mod listing;
mod moving;
pub(crate) mod on_server;
mod postgres;
// One way to run a server for the tests of the store and of the binary.
#[path = "../../app/tests/it/kit/postgres.rs"]
#[expect(dead_code, reason = "the tests of the binary use the rest")]
mod server;
mod space;
mod uid_tokens;
mod upkeep;
