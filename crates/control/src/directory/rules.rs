//! The compiled rules of one account's bearers, made when first needed and kept while there is
//! room.
//!
//! Bearers share a rule set when their claims agree as far as any association or template of their
//! method looks at them, so a method whose roles name no claim has one rule set for everybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keysherd_base::ItemPath;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::kinds::settable;
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::policy::sub_claims;
use keysherd_domain::role::{Capabilities, Capability, Role, Rule, RuleKind};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use super::AccountDirectory;

/// Rules in all kept rule sets of an account together; a compiled rule takes some hundred bytes.
const RULES_KEPT_MAX: u64 = 200_000;
/// Rules that are compiled at once by the thread that needs them: a millisecond or two.
const RULES_FEW: usize = 1_000;
/// Rule sets the cache is laid out for.
const RULE_SETS_EXPECTED: usize = 1_024;

/// A method and its bearer's claims, as far as they matter.
type Key = (i64, BTreeMap<String, Vec<String>>);
const DENY: Capabilities = Capabilities::NONE.with(Capability::Deny);

type ClaimNames = Arc<BTreeSet<Box<str>>>;

/// The compiled rule sets.
pub(super) struct RuleSets {
    sets: Cache<Key, Arc<RuleSet>, ByRules>,
    /// The last one that was too large for them: it would be compiled for each request.
    large: Mutex<Option<(Key, Arc<RuleSet>)>>,
    /// The claims that matter, by method.
    names: Mutex<HashMap<i64, ClaimNames>>,
}

#[derive(Clone)]
struct ByRules;

impl Weighter<Key, Arc<RuleSet>> for ByRules {
    fn weight(&self, _: &Key, set: &Arc<RuleSet>) -> u64 {
        1 + set.rules().len() as u64
    }
}

impl Default for RuleSets {
    fn default() -> Self {
        // One shard: a shard holds only its part of the weight, and a large set must fit.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(RULE_SETS_EXPECTED)
            .weight_capacity(RULES_KEPT_MAX)
            .build()
            .expect("invariant: the three sizes a cache needs are given");
        let sets = Cache::with_options(options, ByRules, Default::default(), Default::default());
        Self { sets, large: Mutex::default(), names: Mutex::default() }
    }
}

impl RuleSets {
    /// The rules of the bearer of `claims` by `method`.
    pub(super) fn get(
        &self,
        directory: &AccountDirectory,
        method: i64,
        claims: &SubClaims,
    ) -> Arc<RuleSet> {
        let key = key(method, &self.names(directory, method), claims);
        if let Some(set) = self.kept(&key) {
            return set;
        }
        let set = Arc::new(compile(directory, method, claims));
        self.sets.insert(key.clone(), Arc::clone(&set));
        if self.sets.get(&key).is_none() {
            *self.large() = Some((key, Arc::clone(&set)));
        }
        set
    }

    /// The same, if it was compiled before.
    pub(super) fn find(&self, method: i64, claims: &SubClaims) -> Option<Arc<RuleSet>> {
        self.kept(&key(method, &*self.known_names(method)?, claims))
    }

    fn kept(&self, key: &Key) -> Option<Arc<RuleSet>> {
        let kept = self.sets.get(key);
        kept.or_else(|| {
            let large = self.large();
            large.as_ref().filter(|(of, _)| of == key).map(|(_, set)| Arc::clone(set))
        })
    }

    fn large(&self) -> MutexGuard<'_, Option<(Key, Arc<RuleSet>)>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_names(&self, method: i64) -> Option<ClaimNames> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&method).cloned()
    }

    fn names(&self, directory: &AccountDirectory, method: i64) -> ClaimNames {
        self.known_names(method).unwrap_or_else(|| {
            let names = Arc::new(claims_that_matter(directory, method));
            let mut known = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(method, Arc::clone(&names));
            names
        })
    }
}

/// The claims that tell the bearer's rules from those of others by the method.
fn key(method: i64, names: &BTreeSet<Box<str>>, claims: &SubClaims) -> Key {
    let mattering = claims.0.iter().filter(|(name, _)| names.contains(name.as_str()));
    (method, mattering.map(|(name, values)| (name.clone(), values.clone())).collect())
}

/// Whether rules by the method are compiled in no time.
pub(super) fn are_few(directory: &AccountDirectory, method: i64) -> bool {
    let rules = roles(directory, method).map(|(_, role)| 1 + role.rules.len());
    rules.sum::<usize>() <= RULES_FEW
}

/// The roles of the method's associations, with each whether templates follow letter case.
fn roles(
    directory: &AccountDirectory,
    method: i64,
) -> impl Iterator<Item = (&Arc<keysherd_domain::role::Assoc>, &Arc<Role>)> {
    let assocs = directory.assocs_of_method(method).iter();
    assocs.filter_map(|assoc| Some((assoc, directory.role_by_id(assoc.role)?)))
}

fn claims_that_matter(directory: &AccountDirectory, method: i64) -> BTreeSet<Box<str>> {
    let mut names = BTreeSet::new();
    for (assoc, role) in roles(directory, method) {
        names.extend(assoc.sub_claims.0.keys().map(|name| Box::from(name.as_str())));
        for rule in role.rules.iter().filter(|rule| rule.path.contains("{{")) {
            if let Ok(pattern) = RulePattern::parse(&rule.path) {
                names.extend(pattern.claims().map(Box::from));
            }
        }
    }
    names
}

fn compile(directory: &AccountDirectory, method: i64, claims: &SubClaims) -> RuleSet {
    let owner = (directory.account.owner_method == method).then(|| owner_role(directory));
    if let Some(owner) = owner.as_ref().filter(|_| directory.account.owner_sealed.is_some()) {
        // The seal covers what roles of the owner's method grant, too.
        return RuleSet::compile([(&sealed(owner), true)], claims);
    }
    let matching = roles(directory, method)
        .filter(|(assoc, _)| sub_claims::matches(&assoc.sub_claims, assoc.case_sensitive, claims))
        .map(|(assoc, role)| (&**role, assoc.case_sensitive));
    RuleSet::compile(owner.as_ref().map(|role| (role, true)).into_iter().chain(matching), claims)
}

/// What a sealed owner may do: look after roles and auth methods.
fn sealed(owner: &Role) -> Role {
    let rule = |kind| Rule {
        kind,
        path: "/*".to_owned(),
        capabilities: Capabilities(settable(kind).0 & !DENY.0),
        expires: None,
    };
    let rules = vec![rule(RuleKind::Role), rule(RuleKind::AuthMethod)];
    Role { admin: false, rules, ..owner.clone() }
}

/// What makes the owner an admin whatever becomes of the owner's associations.
fn owner_role(directory: &AccountDirectory) -> Role {
    Role {
        id: 0,
        account: directory.account.id,
        path: ItemPath::parse("/owner").expect("invariant: a constant path"),
        comment: String::new(),
        admin: true,
        rules: Vec::new(),
        delete_protection: true,
        created: directory.account.created,
        modified: directory.account.created,
    }
}
