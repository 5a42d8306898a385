//! What counts as better left undone.

use super::*;
use crate::policy::testing::{item_rules, role, rule};

#[test]
fn names_read_back_and_every_rail_has_its_own_place() {
    let mut settings = AccountSettings::default();
    for (rail, name) in Rail::NAMES {
        assert_eq!(Rail::from_name(name), Some(rail));
        assert_eq!(settings.policy(rail), Policy::Warn, "{name}");
        for (policy, word) in Policy::NAMES {
            assert_eq!(Policy::from_name(word), Some(policy));
            settings.set_policy(rail, policy);
            assert_eq!(settings.policy(rail), policy, "{name}");
        }
        settings.set_policy(rail, Policy::Off);
    }
    assert!(Rail::NAMES.iter().all(|(rail, _)| settings.policy(*rail) == Policy::Off));
}

#[test]
fn settings_of_an_older_release_still_read() {
    let mut old = serde_json::to_value(AccountSettings::default()).unwrap();
    old.as_object_mut().unwrap().remove("guard_rails").unwrap();
    old["root_path"] = "Refuse".into();
    let read: AccountSettings = serde_json::from_value(old).unwrap();
    assert_eq!(read.policy(Rail::ItemsAtRoot), Policy::Refuse);
    assert_eq!(read.policy(Rail::AccountWideAudit), Policy::Warn);
}

#[test]
fn production_is_what_its_paths_cover_or_touch() {
    let production_paths = vec!["/prod/*".to_owned()];
    let rails = GuardRails { production_paths, ..GuardRails::default() };
    assert_eq!(rails.production_of("/prod/app"), Some("/prod/*"));
    assert_eq!(rails.production_of("/production/app"), None);
    let found = |rules: &[&str]| {
        rails.production_rule(&role(1, item_rules(rules))).map(|rule| rule.path.clone())
    };
    assert_eq!(found(&["/dev/* read", "/+/db read"]), Some("/+/db".to_owned()));
    assert_eq!(found(&["/dev/* read", "/prod/* deny"]), None);
    assert_eq!(GuardRails::default().production_of("/prod/app"), None);
}

#[test]
fn rights_on_identities_are_found_and_denials_are_none() {
    let of = |kind, capability| role(1, vec![rule(kind, "/team/*", capability)]);
    assert!(identity_rule(&of(RuleKind::Role, "list")).is_some());
    assert!(identity_rule(&of(RuleKind::AuthMethod, "create")).is_some());
    assert!(identity_rule(&of(RuleKind::Role, "deny")).is_none());
    assert!(identity_rule(&of(RuleKind::Item, "list")).is_none());
}

#[test]
fn a_role_for_audit_alone_may_see_all_of_it() {
    let audit = rule(RuleKind::Search, "/*", "read");
    let of = |rules: Vec<Rule>| account_wide_rule(&role(1, rules)).is_some();
    assert!(!of(vec![audit.clone()]));
    assert!(!of(vec![audit.clone(), rule(RuleKind::GatewayReports, "/*", "read")]));
    assert!(of(vec![audit.clone(), rule(RuleKind::Item, "/a", "read")]));
    assert!(!of(vec![audit, rule(RuleKind::Item, "/a", "deny")]));
    let own = rule(RuleKind::Search, "/self", "read");
    assert!(!of(vec![own, rule(RuleKind::Item, "/a", "read")]));
}
