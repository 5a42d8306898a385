//! The rules that bind one bearer, compiled for fast decisions.
//!
//! Paths are asked about in their normal form: an object's as `ItemPath` has it, a folder's as
//! `FolderPath` has it, with its trailing slash (`/team/*` covers the folder `/team/`, the exact
//! rule `/team` covers only an object of that name). Time is handed in: a temporary rule counts
//! until its end, exclusively.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use keysherd_base::{ItemPath, Timestamp};

use super::bind::{Binder, BoundPattern};
use super::case::Case;
use super::kinds::{Scope, held_by_admin};
use super::pattern::RulePattern;
use super::probe::{FolderProbe, PathProbe, PatternProbe, Probe};
use super::trie::{RuleId, Trie};
use crate::claims::SubClaims;
use crate::role::{Capabilities, Capability, Role, Rule, RuleKind};

/// Every rule that binds one bearer.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    admin: Option<ItemPath>,
    rules: Vec<BoundRule>,
    kinds: BTreeMap<RuleKind, KindRules>,
}

/// A rule and the role it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundRule {
    role: Arc<ItemPath>,
    rule: Rule,
}

/// The answer to "may this bearer do that here".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Yes: the bearer has this admin role.
    Admin(&'a ItemPath),
    /// Yes, by this rule.
    Granted(&'a BoundRule),
    /// No, by this rule, whatever others grant.
    Denied(&'a BoundRule),
    /// No: nothing grants it.
    NoRule,
}

#[derive(Clone, Debug)]
pub(super) struct KindRules {
    pub(super) grants: Trie,
    pub(super) denies: Trie,
    /// The grants whose path is that of a [`Scope`].
    pub(super) scopes: Vec<(Scope, RuleId)>,
}

impl Decision<'_> {
    /// Whether the answer is yes.
    pub const fn is_granted(self) -> bool {
        matches!(self, Self::Admin(_) | Self::Granted(_))
    }
}

impl BoundRule {
    /// The role the rule comes from.
    pub fn role(&self) -> &ItemPath {
        &self.role
    }

    /// The rule as it is stored in the role.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether the rule counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.rule.expires.is_none_or(|end| now < end)
    }

    /// Whether it is a deny rule: one with `deny` among its capabilities grants nothing.
    pub const fn denies(&self) -> bool {
        self.rule.capabilities.has(Capability::Deny)
    }

    /// Whether the rule grants `capability`; any capability implies list.
    pub fn grants(&self, capability: Capability) -> bool {
        let granted = self.rule.capabilities;
        let implied = capability == Capability::List && !granted.is_empty();
        !self.denies() && (implied || granted.has(capability))
    }
}

impl RuleSet {
    /// Compiles the rules of every role whose association matched the bearer's `claims`; with each
    /// role the `case_sensitive` flag of that association, which its templates follow.
    ///
    /// A rule whose template names a claim the bearer lacks applies to nothing. A stored path that
    /// does not parse grants nothing; if it was a deny, it denies all of its kind.
    pub fn compile<'r>(
        grants: impl IntoIterator<Item = (&'r Role, bool)>,
        claims: &SubClaims,
    ) -> Self {
        let mut building = Building::new(claims);
        let mut seen = BTreeSet::new();
        for (role, case_sensitive) in grants {
            if seen.insert((role.id, case_sensitive)) {
                building.add_role(role, Case::from_flag(case_sensitive));
            }
        }
        building.finish()
    }

    /// Whether the bearer has an admin role, which grants everything; no deny rule binds an admin,
    /// or a single rule could lock an account's owner out of it.
    pub const fn is_admin(&self) -> bool {
        self.admin.is_some()
    }

    /// Decides whether `capability` is granted on `path`. Allocates nothing.
    ///
    /// [`Capability::Deny`] is never granted to anybody.
    pub fn decide(
        &self,
        kind: RuleKind,
        path: &str,
        capability: Capability,
        now: Timestamp,
    ) -> Decision<'_> {
        if capability == Capability::Deny {
            return Decision::NoRule;
        }
        if let Some(role) = &self.admin {
            return Decision::Admin(role);
        }
        let Some(rules) = self.kinds.get(&kind) else {
            return Decision::NoRule;
        };
        let path = PathProbe::new(path);
        if let Some(rule) = self.first(&rules.denies, path, |rule| rule.is_live(now)) {
            return Decision::Denied(rule);
        }
        let grants = |rule: &BoundRule| rule.grants(capability) && rule.is_live(now);
        match self.first(&rules.grants, path, grants) {
            Some(rule) => Decision::Granted(rule),
            None => Decision::NoRule,
        }
    }

    /// Everything the bearer may do on `path`. Allocates nothing.
    pub fn effective(&self, kind: RuleKind, path: &str, now: Timestamp) -> Capabilities {
        if self.is_admin() {
            return held_by_admin(kind);
        }
        let Some(rules) = self.kinds.get(&kind) else {
            return Capabilities::NONE;
        };
        let path = PathProbe::new(path);
        if self.first(&rules.denies, path, |rule| rule.is_live(now)).is_some() {
            return Capabilities::NONE;
        }
        let mut held = Capabilities::NONE;
        let mut collect = |id: RuleId| {
            if let Some(rule) = self.rule(id).filter(|rule| rule.is_live(now)) {
                held = held.union(rule.rule.capabilities).with(Capability::List);
            }
            ControlFlow::Continue(())
        };
        // Never breaks.
        let _ = rules.grants.containing(path, &mut collect);
        held
    }

    /// Whether a listing may show `folder` because something in or below it may be granted and not
    /// denied. Errs to showing the folder's name; never says no where a grant is in force.
    pub fn may_see_below(&self, kind: RuleKind, folder: &str, now: Timestamp) -> bool {
        if self.is_admin() {
            return true;
        }
        let Some(rules) = self.kinds.get(&kind) else {
            return false;
        };
        let folder = FolderProbe::new(folder);
        if self.first(&rules.denies, folder, |rule| rule.is_live(now)).is_some() {
            return false;
        }
        let mut search = |id: RuleId| match self.rule(id) {
            Some(rule) if rule.is_live(now) => {
                let pattern = PatternProbe::new(&rule.rule.path);
                match self.first(&rules.denies, pattern, |deny| deny.is_live(now)) {
                    Some(_) => ControlFlow::Continue(()),
                    None => ControlFlow::Break(()),
                }
            }
            _ => ControlFlow::Continue(()),
        };
        rules.grants.overlapping(folder, &mut search).is_break()
    }

    /// How far `capability` of an administrative kind reaches: the widest scope granted.
    ///
    /// These kinds know no deny; should one be stored nevertheless, it takes the whole kind away.
    pub fn scope(&self, kind: RuleKind, capability: Capability, now: Timestamp) -> Scope {
        if capability == Capability::Deny {
            return Scope::None;
        }
        if self.is_admin() {
            return Scope::All;
        }
        let Some(rules) = self.kinds.get(&kind) else {
            return Scope::None;
        };
        let mut denied = |id: RuleId| match self.rule(id) {
            Some(rule) if rule.is_live(now) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        if rules.denies.overlapping(FolderProbe::new("/"), &mut denied).is_break() {
            return Scope::None;
        }
        let granted = rules.scopes.iter().filter(|(_, id)| {
            self.rule(*id).is_some_and(|rule| rule.grants(capability) && rule.is_live(now))
        });
        granted.map(|(scope, _)| *scope).max().unwrap_or_default()
    }

    /// The rules that bind the bearer, in the order of the roles; those of an admin included.
    pub fn rules(&self) -> &[BoundRule] {
        &self.rules
    }

    /// The admin role.
    pub(super) const fn admin(&self) -> Option<&ItemPath> {
        self.admin.as_ref()
    }

    pub(super) fn kind(&self, kind: RuleKind) -> Option<&KindRules> {
        self.kinds.get(&kind)
    }

    pub(super) fn rule(&self, id: RuleId) -> Option<&BoundRule> {
        self.rules.get(id)
    }

    /// A rule of `trie` that contains `probe` and that `counts`.
    pub(super) fn first<'p>(
        &self,
        trie: &Trie,
        probe: impl Probe<'p>,
        counts: impl Fn(&BoundRule) -> bool,
    ) -> Option<&BoundRule> {
        let mut found = None;
        let mut check = |id: RuleId| match self.rule(id) {
            Some(rule) if counts(rule) => {
                found = Some(rule);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        // Whether it broke shows in `found`.
        let _ = trie.containing(probe, &mut check);
        found
    }
}

/// A rule set under construction.
struct Building<'c> {
    set: RuleSet,
    binder: Binder<'c>,
    kinds: BTreeMap<RuleKind, KindPatterns>,
}

#[derive(Default)]
struct KindPatterns {
    grants: Vec<(BoundPattern, RuleId)>,
    denies: Vec<(BoundPattern, RuleId)>,
    scopes: Vec<(Scope, RuleId)>,
}

impl<'c> Building<'c> {
    fn new(claims: &'c SubClaims) -> Self {
        Self { set: RuleSet::default(), binder: Binder::new(claims), kinds: BTreeMap::new() }
    }

    fn add_role(&mut self, role: &Role, case: Case) {
        if role.admin {
            self.set.admin.get_or_insert_with(|| role.path.clone());
        }
        let path = Arc::new(role.path.clone());
        for rule in &role.rules {
            self.add_rule(&path, rule, case);
        }
    }

    fn add_rule(&mut self, role: &Arc<ItemPath>, rule: &Rule, case: Case) {
        let bound = BoundRule { role: Arc::clone(role), rule: rule.clone() };
        let deny = bound.denies();
        // A deny has no power over remote access, and a rule without capabilities has none at all.
        if rule.capabilities.is_empty() || (deny && rule.kind == RuleKind::Sra) {
            return;
        }
        let patterns = match RulePattern::parse(&rule.path) {
            Ok(pattern) => self.binder.bind(&pattern, case, deny),
            Err(_) if deny => vec![BoundPattern::everything()],
            Err(_) => return,
        };
        if patterns.is_empty() {
            return;
        }
        let id = self.set.rules.len();
        self.set.rules.push(bound);
        let kind = self.kinds.entry(rule.kind).or_default();
        let scope = Scope::from_path(&rule.path);
        if !deny && scope != Scope::None {
            kind.scopes.push((scope, id));
        }
        let list = if deny { &mut kind.denies } else { &mut kind.grants };
        list.extend(patterns.into_iter().map(|pattern| (pattern, id)));
    }

    fn finish(mut self) -> RuleSet {
        let compiled = self.kinds.into_iter().map(|(kind, patterns)| {
            let rules = KindRules {
                grants: Trie::build(patterns.grants),
                denies: Trie::build(patterns.denies),
                scopes: patterns.scopes,
            };
            (kind, rules)
        });
        self.set.kinds = compiled.collect();
        self.set
    }
}

#[cfg(test)]
mod tests;
