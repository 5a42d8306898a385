//! The advisor: what of the good practice a program can judge, judged over one account.
//!
//! A check is one entry in the list of its file: what it is about, and a pure function from an
//! [`Estate`] to what it found. Everything it finds says what is wrong, where, and the command
//! that mends it. A check passes when it finds nothing.

mod credentials;
mod gateways;
mod items;
mod keys;
mod methods;
mod owner;
mod roles;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::auth_method::AuthMethod;
use crate::cluster::Cluster;
use crate::gateway_access::GatewayAccess;
use crate::role::{Assoc, Role};

/// Most places of one check that are told; the rest is counted.
pub const PLACES_MAX: usize = 50;

/// What is known of a kind of auth method that the domain cannot tell from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindFacts {
    /// Whether one method lets several bearers in.
    pub shared: bool,
    /// Whether its bearers are people who sign in at a provider of identities.
    pub federated: bool,
}

/// One account as the checks see it.
#[derive(Clone, Debug)]
pub struct Estate {
    /// The account.
    pub account: Arc<Account>,
    /// Its auth methods.
    pub methods: Vec<Arc<AuthMethod>>,
    /// Its roles.
    pub roles: Vec<Arc<Role>>,
    /// Its associations.
    pub assocs: Vec<Arc<Assoc>>,
    /// By `rules_type` of the methods.
    pub kinds: BTreeMap<String, KindFacts>,
    /// Paths of items directly at `/`, at most [`PLACES_MAX`] and one more.
    pub root_items: Vec<String>,
    /// Whether a customer fragment protects the default key.
    pub default_key_has_customer_fragment: bool,
    /// Whether the owner signs in with a second factor.
    pub owner_has_second_factor: bool,
    /// Whether the owner is sealed.
    pub owner_sealed: bool,
    /// When the owner last did something, as the index of the audit log knows it.
    pub owner_signed_in: Option<Timestamp>,
    /// Its gateway clusters.
    pub gateways: Vec<GatewayEstate>,
    /// The time.
    pub now: Timestamp,
}

/// A gateway cluster as the checks see it.
#[derive(Clone, Debug)]
pub struct GatewayEstate {
    /// The cluster.
    pub cluster: Cluster,
    /// Who may configure it, beside administrators.
    pub allowed: Vec<GatewayAccess>,
}

/// How bad it is when a check finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It found nothing.
    Pass,
    /// It should be mended.
    Warn,
    /// It must be mended.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Something a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where: the object's path with its noun.
    pub at: String,
    /// What is wrong there.
    pub wrong: String,
    /// The command that mends it.
    pub mend: String,
}

impl Place {
    fn new(at: impl Into<String>, wrong: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { at: at.into(), wrong: wrong.into(), mend: mend.into() }
    }
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Its name: words joined with dashes.
    pub check: String,
    /// The rows of the checklist it is about.
    pub rows: String,
    /// What is good practice, in one sentence.
    pub practice: String,
    /// What it says.
    pub verdict: Verdict,
    /// What it found, at most [`PLACES_MAX`].
    pub places: Vec<Place>,
    /// How many more there are.
    pub more: usize,
}

/// A check of an `E`.
pub struct Check<E: ?Sized> {
    /// Its name: words joined with dashes.
    pub name: &'static str,
    /// The rows of the checklist it is about.
    pub rows: &'static str,
    /// What is good practice, in one sentence.
    pub practice: &'static str,
    /// What it means when it finds something.
    pub severity: Verdict,
    /// What it finds.
    pub find: fn(&E) -> Vec<Place>,
}

impl<E: ?Sized> Check<E> {
    /// What it says about `judged`.
    pub fn judge(&self, judged: &E) -> Advice {
        let mut places = (self.find)(judged);
        let more = places.len().saturating_sub(PLACES_MAX);
        places.truncate(PLACES_MAX);
        Advice {
            check: self.name.to_owned(),
            rows: self.rows.to_owned(),
            practice: self.practice.to_owned(),
            verdict: if places.is_empty() { Verdict::Pass } else { self.severity },
            places,
            more,
        }
    }
}

impl<E: ?Sized> std::fmt::Debug for Check<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// Every check, by file.
pub fn checks() -> impl Iterator<Item = &'static Check<Estate>> {
    let lists = [
        owner::CHECKS,
        methods::CHECKS,
        credentials::CHECKS,
        roles::CHECKS,
        items::CHECKS,
        keys::CHECKS,
        gateways::CHECKS,
    ];
    lists.into_iter().flatten()
}

/// What all checks say about an account.
pub fn judge(estate: &Estate) -> Vec<Advice> {
    checks().map(|check| check.judge(estate)).collect()
}

impl Estate {
    fn method(&self, id: i64) -> Option<&Arc<AuthMethod>> {
        self.methods.iter().find(|method| method.id == id)
    }

    fn role(&self, id: i64) -> Option<&Arc<Role>> {
        self.roles.iter().find(|role| role.id == id)
    }

    fn facts(&self, method: &AuthMethod) -> KindFacts {
        let unknown = KindFacts { shared: false, federated: false };
        self.kinds.get(method.detail.kind_name()).copied().unwrap_or(unknown)
    }

    fn is_owner(&self, method: &AuthMethod) -> bool {
        self.account.owner_method == method.id
    }

    /// The admin roles' associations with their methods, those of the owner left out.
    fn administrators(&self) -> impl Iterator<Item = (&Assoc, &AuthMethod)> {
        let admin = |assoc: &&Arc<Assoc>| self.role(assoc.role).is_some_and(|role| role.admin);
        let bearers = self.assocs.iter().filter(admin);
        bearers
            .filter_map(|assoc| Some((&**assoc, &**self.method(assoc.method)?)))
            .filter(|(_, method)| !self.is_owner(method))
    }
}
