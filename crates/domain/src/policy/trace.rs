//! How one role takes part in a decision, rule by rule, those included that have no say.

use std::collections::BTreeMap;

use keysherd_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::bind::usable_values;
use super::explain::Effect;
use super::kinds::{Scope, is_administrative};
use super::pattern::RulePattern;
use super::rule_set::RuleSet;
use crate::claims::SubClaims;
use crate::role::{Capability, Role, Rule, RuleKind};

/// What is asked: may somebody use `capability` on `path` of `kind` at `now`.
///
/// For an administrative kind the path is that of a [`Scope`].
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// What the path names.
    pub kind: RuleKind,
    /// The path in its normal form.
    pub path: &'q str,
    /// What one would do there.
    pub capability: Capability,
    /// When.
    pub now: Timestamp,
}

/// Why one rule counts or does not, the weightiest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// It denies, whatever others grant.
    Denies,
    /// It grants the capability.
    Grants,
    /// It covers the path and grants other capabilities.
    GrantsOther,
    /// It would count, but its time is over.
    Expired,
    /// It reaches less far than what is asked for.
    Narrower,
    /// Its path does not cover the one in question.
    OtherPath,
    /// Its path names this claim, of which the bearer has no value that can stand in a path.
    NoClaimValue(String),
    /// Its path cannot be read, so it grants nothing.
    BadPath,
    /// It has no capability, or is a deny where denies have no power.
    Powerless,
}

/// One rule of a role and why it counts or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Why it counts or does not.
    pub standing: Standing,
}

/// Every rule of `role` of the kind in question, the weightiest first, for a bearer of `claims` who
/// has the role by an association with this `case_sensitive` flag.
///
/// An admin role grants by itself: of its rules nothing is said.
pub fn trace<'r>(
    role: &'r Role,
    case_sensitive: bool,
    claims: &SubClaims,
    question: Question<'_>,
) -> Vec<RuleTrace<'r>> {
    let rules = role.rules.iter().filter(|rule| rule.kind == question.kind && !role.admin);
    let mut traced: Vec<_> = if is_administrative(question.kind) {
        rules.map(|rule| RuleTrace { rule, standing: of_scope(rule, question) }).collect()
    } else {
        let told = effects(role, case_sensitive, claims, question);
        rules
            .map(|rule| {
                let known = told.get(rule.path.as_str()).copied();
                let standing = known.map_or_else(|| silent(rule, claims), Standing::from);
                RuleTrace { rule, standing }
            })
            .collect()
    };
    traced.sort_by(|a, b| a.standing.cmp(&b.standing));
    traced
}

/// Whether `set` grants what is asked.
pub fn is_granted(set: &RuleSet, question: Question<'_>) -> bool {
    let Question { kind, path, capability, now } = question;
    if is_administrative(kind) {
        let reach = set.scope(kind, capability, now);
        return reach != Scope::None && reach >= Scope::from_path(path);
    }
    set.decide(kind, path, capability, now).is_granted()
}

impl From<Effect> for Standing {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Denies => Self::Denies,
            // An admin role's own rules are left out, so this is a role that grants.
            Effect::Admin | Effect::Grants => Self::Grants,
            Effect::GrantsOther => Self::GrantsOther,
            Effect::Expired => Self::Expired,
        }
    }
}

/// What the rules that cover the path do, by their path: a role has one rule per kind and path.
fn effects(
    role: &Role,
    case_sensitive: bool,
    claims: &SubClaims,
    question: Question<'_>,
) -> BTreeMap<String, Effect> {
    let Question { kind, path, capability, now } = question;
    let set = RuleSet::compile([(role, case_sensitive)], claims);
    let told = set.explain(kind, path, capability, now).into_iter();
    told.map(|explained| (explained.pattern, explained.effect)).collect()
}

/// Why a rule that does not cover the path does not.
fn silent(rule: &Rule, claims: &SubClaims) -> Standing {
    let deny = rule.capabilities.has(Capability::Deny);
    if rule.capabilities.is_empty() || (deny && rule.kind == RuleKind::Sra) {
        return Standing::Powerless;
    }
    let Ok(pattern) = RulePattern::parse(&rule.path) else { return Standing::BadPath };
    let mut names = pattern.claims();
    match names.find(|name| usable_values(claims, name).next().is_none()) {
        Some(name) => Standing::NoClaimValue(name.to_owned()),
        None => Standing::OtherPath,
    }
}

fn of_scope(rule: &Rule, question: Question<'_>) -> Standing {
    let reach = Scope::from_path(&rule.path);
    let live = rule.expires.is_none_or(|end| question.now < end);
    if rule.capabilities.is_empty() {
        Standing::Powerless
    } else if rule.capabilities.has(Capability::Deny) {
        if live { Standing::Denies } else { Standing::Expired }
    } else if reach == Scope::None {
        Standing::BadPath
    } else if !live {
        Standing::Expired
    } else if reach < Scope::from_path(question.path) {
        Standing::Narrower
    } else if question.capability == Capability::List || rule.capabilities.has(question.capability)
    {
        Standing::Grants
    } else {
        Standing::GrantsOther
    }
}

#[cfg(test)]
mod tests;
