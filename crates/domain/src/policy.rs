//! The policy decision: which of a token's rules grant what on a path.
//!
//! Default deny; effective permission is the union of the rules of every role whose association
//! matches the bearer's sub-claims, minus what a deny rule covers. Any capability implies list.
//! [`rule_set::RuleSet`] is that union for one bearer, compiled once and asked often.

pub mod escalation;
pub mod explain;
pub mod kinds;
pub mod merge;
pub mod path_set;
pub mod pattern;
pub mod rule_set;
pub mod sub_claims;
pub mod trace;

mod bind;
mod case;
mod probe;
mod template;
mod text_table;
mod trie;
mod wildcard;

#[cfg(test)]
pub(crate) mod testing;
