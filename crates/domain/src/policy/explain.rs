//! Why a decision came out as it did: every rule that had a say.

use std::ops::ControlFlow;

use keysherd_base::{ItemPath, Timestamp};

use super::probe::PathProbe;
use super::rule_set::{BoundRule, RuleSet};
use super::trie::{RuleId, Trie};
use crate::role::{Capability, RuleKind};

/// One rule that matches the path, and what it contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The role it comes from.
    pub role: ItemPath,
    /// Its path pattern as stored; `/*` for an admin role.
    pub pattern: String,
    /// What it contributed.
    pub effect: Effect,
}

/// What a rule contributes to one decision, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The role is an admin role; nothing else counts.
    Admin,
    /// It denies.
    Denies,
    /// It grants the capability.
    Grants,
    /// It grants other capabilities on this path.
    GrantsOther,
    /// It would deny or grant, but its time is over.
    Expired,
}

impl RuleSet {
    /// Every rule that matches `path`, the weightiest first; empty when no rule has a say.
    pub fn explain(
        &self,
        kind: RuleKind,
        path: &str,
        capability: Capability,
        now: Timestamp,
    ) -> Vec<Explained> {
        let mut explained = Vec::new();
        if let Some(role) = self.admin() {
            let role = role.clone();
            explained.push(Explained { role, pattern: "/*".to_owned(), effect: Effect::Admin });
        }
        if let Some(rules) = self.kind(kind) {
            for id in matching(&rules.denies, path).into_iter().chain(matching(&rules.grants, path))
            {
                let Some(bound) = self.rule(id) else { continue };
                explained.push(Explained {
                    role: bound.role().clone(),
                    pattern: bound.rule().path.clone(),
                    effect: effect(bound, capability, now),
                });
            }
        }
        explained.sort_by_key(|entry| entry.effect);
        explained
    }
}

fn matching(trie: &Trie, path: &str) -> Vec<RuleId> {
    let mut found = Vec::new();
    let mut collect = |id: RuleId| {
        found.push(id);
        ControlFlow::Continue(())
    };
    // Never breaks.
    let _ = trie.containing(PathProbe::new(path), &mut collect);
    // A rule with several values may match in several ways.
    found.sort_unstable();
    found.dedup();
    found
}

fn effect(bound: &BoundRule, capability: Capability, now: Timestamp) -> Effect {
    if !bound.is_live(now) {
        Effect::Expired
    } else if bound.denies() {
        Effect::Denies
    } else if bound.grants(capability) {
        Effect::Grants
    } else {
        Effect::GrantsOther
    }
}

#[cfg(test)]
mod tests;
