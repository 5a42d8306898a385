//! Roles: nobody but administrators touches who may do what; few roles with many paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Check, Estate, Place, Verdict};
use crate::role::{Capability, Role, Rule, RuleKind};

/// From so many roles of one path on, one role of many paths is easier to see through.
const ONE_PATH_ROLES_MAX: usize = 2;

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "roles-do-not-change-access",
        rows: "P13, P14",
        practice: "Only admin roles change roles and auth methods.",
        severity: Verdict::Fail,
        find: changes_access,
    },
    Check {
        name: "roles-do-not-show-access",
        rows: "P14, G5, G19",
        practice: "Only admin roles see roles and auth methods.",
        severity: Verdict::Warn,
        find: shows_access,
    },
    Check {
        name: "few-roles-with-many-paths",
        rows: "P15",
        practice: "One role with many paths, rather than many roles with one.",
        severity: Verdict::Warn,
        find: one_path,
    },
    Check {
        name: "people-see-their-own-audit",
        rows: "P16, G18",
        practice: "Whoever works with items sees what they did themselves, not what all did.",
        severity: Verdict::Warn,
        find: sees_all,
    },
    Check {
        name: "roles-are-limited",
        rows: "P14",
        practice: "A role that is no admin role does not have everything.",
        severity: Verdict::Warn,
        find: unlimited,
    },
    Check {
        name: "temporary-rules-go",
        rows: "P15",
        practice: "Temporary rules that ended are deleted.",
        severity: Verdict::Warn,
        find: ended,
    },
];

type Rules<'e> = Box<dyn Iterator<Item = (&'e Arc<Role>, &'e Rule)> + 'e>;

/// The rules of roles that are no admin roles; those that deny left out.
fn rules<'e>(estate: &'e Estate, kinds: &'static [RuleKind]) -> Rules<'e> {
    let roles = estate.roles.iter().filter(|role| !role.admin);
    let all = roles.flat_map(|role| role.rules.iter().map(move |rule| (role, rule)));
    Box::new(all.filter(move |(_, rule)| {
        kinds.contains(&rule.kind) && !rule.capabilities.has(Capability::Deny)
    }))
}

fn place((role, rule): (&Arc<Role>, &Rule), wrong: String) -> Place {
    let (name, kind, path) = (role.path.bare(), rule.kind.name(), &rule.path);
    Place::new(
        format!("role {}, {kind} {path}", role.path),
        wrong,
        format!("keysherd delete-role-rule --role-name {name} --rule-type {kind} --path '{path}'"),
    )
}

const ACCESS: &[RuleKind] = &[RuleKind::Role, RuleKind::AuthMethod];

fn changes(rule: &Rule) -> bool {
    let changing = [Capability::Create, Capability::Update, Capability::Delete];
    changing.into_iter().any(|capability| rule.capabilities.has(capability))
}

fn changes_access(estate: &Estate) -> Vec<Place> {
    let found = rules(estate, ACCESS).filter(|(_, rule)| changes(rule));
    found.map(|it| place(it, format!("it grants {:?}", it.1.capabilities))).collect()
}

fn shows_access(estate: &Estate) -> Vec<Place> {
    let found = rules(estate, ACCESS).filter(|(_, rule)| !changes(rule));
    found.map(|it| place(it, format!("it grants {:?}", it.1.capabilities))).collect()
}

fn one_path(estate: &Estate) -> Vec<Place> {
    // Roles count together when the same bearers have them.
    let mut bearers: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for assoc in &estate.assocs {
        let who = format!("{} {:?} {}", assoc.method, assoc.sub_claims, assoc.case_sensitive);
        bearers.entry(assoc.role).or_default().insert(who);
    }
    let mut groups: BTreeMap<&BTreeSet<String>, Vec<&Arc<Role>>> = BTreeMap::new();
    for role in estate.roles.iter().filter(|role| !role.admin && role.rules.len() == 1) {
        if let Some(who) = bearers.get(&role.id) {
            groups.entry(who).or_default().push(role);
        }
    }
    let many = groups.into_values().filter(|roles| roles.len() > ONE_PATH_ROLES_MAX);
    let merge = |roles: Vec<&Arc<Role>>| {
        let names: Vec<_> = roles.iter().map(|role| role.path.bare()).collect();
        let flags: Vec<_> = names.iter().map(|name| format!("--role-name {name}")).collect();
        Place::new(
            format!("roles {}", names.join(", ")),
            "the same bearers have them, and each has one path",
            format!("keysherd roles-merge {}", flags.join(" ")),
        )
    };
    many.map(merge).collect()
}

fn sees_all(estate: &Estate) -> Vec<Place> {
    let works = |role: &Role| role.rules.iter().any(|rule| rule.kind == RuleKind::Item);
    let found = rules(estate, &[RuleKind::Search, RuleKind::Reports])
        .filter(|(role, rule)| rule.path == "/*" && works(role));
    found
        .map(|(role, _)| {
            Place::new(
                format!("role {}", role.path),
                "it sees what everybody did, and works with items",
                format!("keysherd update-role --name {} --audit-access own", role.path.bare()),
            )
        })
        .collect()
}

fn unlimited(estate: &Estate) -> Vec<Place> {
    let found = rules(estate, &[RuleKind::Item, RuleKind::Target]).filter(|(_, rule)| {
        rule.path == "/*" && rule.capabilities.has(Capability::Read) && changes(rule)
    });
    found.map(|it| place(it, "it reads and changes everything".to_owned())).collect()
}

fn ended(estate: &Estate) -> Vec<Place> {
    let roles =
        estate.roles.iter().flat_map(|role| role.rules.iter().map(move |rule| (role, rule)));
    let found = roles.filter(|(_, rule)| rule.expires.is_some_and(|end| end <= estate.now));
    found.map(|it| place(it, "it ended".to_owned())).collect()
}
