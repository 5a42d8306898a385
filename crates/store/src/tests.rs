//! Tests of the store as a whole.

mod audit_index;
mod behavior;
mod chain;
mod commit;
mod cost;
mod durability;
mod fixture;
mod listing;
mod moving;
mod space;
mod uid_tokens;
