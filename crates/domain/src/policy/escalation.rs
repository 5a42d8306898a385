//! The guard against self-escalation: what a bearer may pass on to others.
//!
//! A bearer who is no admin may give others only what they hold themselves for as long as they hold
//! it, and the deny rules that bind them go along. Everything errs to the safe side: what cannot be
//! proven to be held is not.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use keysherd_base::Timestamp;

use super::kinds::{Scope, is_administrative};
use super::pattern::RulePattern;
use super::probe::PatternProbe;
use super::rule_set::{BoundRule, KindRules, RuleSet};
use super::trie::RuleId;
use crate::role::{Capability, Role, Rule, RuleKind};

/// What of a role its would-be giver does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess<'r> {
    /// It is an admin role.
    Admin,
    /// This rule.
    Rule(&'r Rule),
}

impl RuleSet {
    /// Whether the bearer may give `rule` to others.
    ///
    /// An admin may. Anybody may give a deny rule: it grants nothing. Otherwise, for each of its
    /// capabilities, one rule of the bearer must cover every path the new one can match, for at
    /// least as long; a template in the new rule counts as any text, since others have other
    /// claims. And no deny rule that binds the bearer may touch any of those paths.
    ///
    /// The path must parse as a [`RulePattern`]; if it does not, the answer is no.
    pub fn covers(&self, rule: &Rule, now: Timestamp) -> bool {
        if RulePattern::parse(&rule.path).is_err() {
            return false;
        }
        let grants_nothing =
            rule.capabilities.is_empty() || rule.capabilities.has(Capability::Deny);
        if self.is_admin() || grants_nothing {
            return true;
        }
        let Some(held) = self.kind(rule.kind) else {
            return false;
        };
        !self.denied_in_part(held, rule, now)
            && rule.capabilities.iter().all(|capability| {
                let covers = |own: &BoundRule| {
                    own.grants(capability) && own.is_live(now) && lasts(own, rule)
                };
                self.first(&held.grants, PatternProbe::new(&rule.path), covers).is_some()
                    && self.holds_scope(held, rule, capability, now)
            })
    }

    /// What of `role` the bearer may not give to others, the first such thing; `None` when they may
    /// give all of it, as when they associate it with an auth method.
    pub fn excess<'r>(&self, role: &'r Role, now: Timestamp) -> Option<Excess<'r>> {
        if self.is_admin() {
            return None;
        }
        if role.admin {
            return Some(Excess::Admin);
        }
        role.rules.iter().find(|rule| !self.covers(rule, now)).map(Excess::Rule)
    }

    /// The deny rules that bind the bearer at `now`, one per kind and path, as they are stored.
    ///
    /// They must be part of every role the bearer creates. None bind an admin.
    pub fn inherited_denies(&self, now: Timestamp) -> Vec<Rule> {
        if self.is_admin() {
            return Vec::new();
        }
        let mut inherited: BTreeMap<(RuleKind, &str), Rule> = BTreeMap::new();
        for bound in self.rules().iter().filter(|rule| rule.denies() && rule.is_live(now)) {
            let rule = bound.rule();
            let known = inherited.entry((rule.kind, &rule.path)).or_insert_with(|| rule.clone());
            // Of two, the one that lasts longer.
            known.expires = match (known.expires, rule.expires) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
        }
        inherited.into_values().collect()
    }

    /// Whether the scope that `rule` says, if it says one, is held in that very word or as the
    /// whole account: there a path such as `/+` says nothing, whatever it matches.
    fn holds_scope(
        &self,
        held: &KindRules,
        rule: &Rule,
        capability: Capability,
        now: Timestamp,
    ) -> bool {
        let wanted = Scope::from_path(&rule.path);
        if wanted == Scope::None || !is_administrative(rule.kind) {
            return true;
        }
        let held_so = held.scopes.iter().filter(|(scope, _)| [wanted, Scope::All].contains(scope));
        let mut held_so = held_so.filter_map(|(_, id)| self.rule(*id));
        self.scope(rule.kind, capability, now) != Scope::None
            && held_so.any(|own| own.grants(capability) && own.is_live(now) && lasts(own, rule))
    }

    fn denied_in_part(&self, held: &KindRules, rule: &Rule, now: Timestamp) -> bool {
        let mut search = |id: RuleId| match self.rule(id) {
            Some(deny) if deny.is_live(now) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        held.denies.overlapping(PatternProbe::new(&rule.path), &mut search).is_break()
    }
}

/// Whether `own` lasts at least as long as `given` would.
fn lasts(own: &BoundRule, given: &Rule) -> bool {
    match (own.rule().expires, given.expires) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(given)) => given <= own,
    }
}

#[cfg(test)]
mod tests;
