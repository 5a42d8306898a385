//! Tests of the store as a whole.

mod behavior;
mod chain;
mod commit;
mod cost;
mod durability;
mod fixture;
mod listing;
mod moving;
mod space;
