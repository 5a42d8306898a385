//! A bad account, in which every check finds something, and a good one, in which none does.

use keysherd_base::{AccessId, AccountId, AssocId, ItemPath, Uid};

use super::*;
use crate::account::AccountSettings;
use crate::auth_method::{IpNetwork, MethodDetail, MethodShared, SecondFactor};
use crate::claims::SubClaims;
use crate::gateway_access::GatewayPermission;
use crate::guard_rails::{Policy, Rail};
use crate::role::{Capabilities, Capability, Rule, RuleKind};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: i64 = 86_400;
/// The access id of the method with number 2.
const PEOPLE: &str = "p-bbbbbbbbbbbbbb";

fn account() -> Account {
    Account {
        id: AccountId(Uid([1; 16])),
        owner_method: 1,
        original_key: Uid([2; 16]),
        settings: AccountSettings::default(),
        created: NOW,
        owner_sealed: None,
    }
}

fn method(id: i64, path: &str, detail: MethodDetail) -> AuthMethod {
    AuthMethod {
        id,
        account: AccountId(Uid([1; 16])),
        access_id: AccessId::parse(if id == 2 { PEOPLE } else { "p-aaaaaaaaaaaaaa" }).unwrap(),
        path: ItemPath::parse(path).unwrap(),
        shared: MethodShared::default(),
        detail,
        generation: 1,
        created: NOW,
        modified: NOW,
    }
}

fn email(days: i64) -> MethodDetail {
    MethodDetail::Email {
        email: "owner@example.com".to_owned(),
        public_key: [1; 32],
        salt: [0; 16],
        memory_kib: 1,
        iterations: 1,
        parallelism: 1,
        password_set: NOW.plus_seconds(-days * DAY),
        second_factor: SecondFactor::None,
    }
}

fn key(days: i64) -> MethodDetail {
    let key_created = NOW.plus_seconds(-days * DAY);
    MethodDetail::ApiKey { public_key: [1; 32], key_created }
}

fn oidc() -> MethodDetail {
    MethodDetail::Member { kind: "oidc".to_owned(), settings: "{}".to_owned() }
}

fn rule(kind: RuleKind, path: &str, capabilities: &[Capability]) -> Rule {
    let capabilities = capabilities.iter().copied().collect::<Capabilities>();
    Rule { kind, path: path.to_owned(), capabilities, expires: None }
}

fn role(id: i64, path: &str, admin: bool, rules: Vec<Rule>) -> Role {
    Role {
        id,
        account: AccountId(Uid([1; 16])),
        path: ItemPath::parse(path).unwrap(),
        comment: String::new(),
        admin,
        rules,
        delete_protection: false,
        created: NOW,
        modified: NOW,
    }
}

fn assoc(role: i64, method: i64, group: Option<&str>) -> Assoc {
    let mut sub_claims = SubClaims::default();
    if let Some(group) = group {
        sub_claims.set("group", group);
    }
    let id = AssocId(format!("ass-{role}-{method}").into());
    Assoc { id, role, method, sub_claims, case_sensitive: true, created: NOW }
}

fn estate(
    account: Account,
    methods: Vec<AuthMethod>,
    roles: Vec<Role>,
    assocs: Vec<Assoc>,
) -> Estate {
    let people = KindFacts { shared: true, federated: true };
    Estate {
        account: Arc::new(account),
        methods: methods.into_iter().map(Arc::new).collect(),
        roles: roles.into_iter().map(Arc::new).collect(),
        assocs: assocs.into_iter().map(Arc::new).collect(),
        kinds: [("oidc".to_owned(), people)].into(),
        root_items: Vec::new(),
        default_key_has_customer_fragment: true,
        owner_has_second_factor: true,
        owner_sealed: true,
        owner_signed_in: None,
        gateways: Vec::new(),
        now: NOW,
    }
}

/// A gateway cluster that bearers of the method `access_id` may configure.
fn cluster_open_to(name: &str, access_id: &str, team: Option<&str>, all: bool) -> GatewayEstate {
    let access_id = AccessId::parse(access_id).unwrap();
    let mut sub_claims = SubClaims::default();
    if let Some(team) = team {
        sub_claims.set("team", team);
    }
    let permission = if all { GatewayPermission::Admin } else { GatewayPermission::K8sAuth };
    GatewayEstate {
        cluster: Cluster {
            id: 1,
            uid: Uid([3; 16]),
            account: AccountId(Uid([1; 16])),
            access_id: access_id.clone(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            url: String::new(),
            protection_key: None,
            created: NOW,
        },
        allowed: vec![GatewayAccess {
            id: 1,
            cluster: 1,
            name: "ops".to_owned(),
            access_id,
            description: String::new(),
            sub_claims,
            case_sensitive: true,
            permissions: vec![permission],
            provided: false,
            created: NOW,
            modified: NOW,
        }],
    }
}

fn good() -> Estate {
    let mut account = account();
    for (rail, _) in Rail::NAMES {
        account.settings.set_policy(rail, Policy::Refuse);
    }
    let mut people = method(2, "/people", oidc());
    people.shared.force_sub_claims = true;
    let mut robot = method(3, "/ci/deploy", key(10));
    robot.shared.access_expires = Some(NOW.plus_seconds(80 * DAY));
    robot.shared.bound_ips = vec![IpNetwork::parse("10.0.0.0/8").unwrap()];
    let read = [Capability::Read, Capability::List];
    let work = vec![
        rule(RuleKind::Item, "/unit/*", &read),
        rule(RuleKind::Search, "/self", &[Capability::Read]),
    ];
    let of_account = estate(
        account,
        vec![method(1, "/owner", email(30)), people, robot],
        vec![role(1, "/admin", true, Vec::new()), role(2, "/work", false, work)],
        vec![assoc(1, 1, None), assoc(1, 2, Some("admins")), assoc(2, 3, None)],
    );
    let gateways = vec![cluster_open_to("prod", PEOPLE, Some("ops"), false)];
    Estate { gateways, ..of_account }
}

fn bad() -> Estate {
    let mut account = account();
    account.settings.token_ttl.default = 10_000;
    let mut gateway = method(4, "/gw", key(1));
    gateway.shared.allowed_client_types = vec!["gateway-admin".to_owned(), "cli".to_owned()];
    let everything = [Capability::Read, Capability::Update];
    let mut late = rule(RuleKind::Item, "/late", &[Capability::Read]);
    late.expires = Some(NOW);
    let wide = vec![
        rule(RuleKind::Role, "/*", &[Capability::Create]),
        rule(RuleKind::AuthMethod, "/*", &[Capability::List]),
        rule(RuleKind::Search, "/*", &[Capability::Read]),
        rule(RuleKind::Item, "/*", &everything),
        late,
    ];
    let one = |id: i64| {
        let path = format!("/unit{id}/*");
        role(id, &format!("/one{id}"), false, vec![rule(RuleKind::Item, &path, &everything)])
    };
    let roles = vec![
        role(1, "/admin", true, Vec::new()),
        role(2, "/wide", false, wide),
        one(3),
        one(4),
        one(5),
    ];
    let methods = vec![
        method(1, "/owner", email(400)),
        method(2, "/people", oidc()),
        method(3, "/key", key(100)),
        gateway,
    ];
    let assocs = vec![
        assoc(1, 1, None),
        assoc(1, 3, None),
        assoc(2, 2, None),
        assoc(3, 2, Some("dev")),
        assoc(4, 2, Some("dev")),
        assoc(5, 2, Some("dev")),
    ];
    Estate {
        root_items: vec!["/x".to_owned()],
        default_key_has_customer_fragment: false,
        owner_has_second_factor: false,
        owner_sealed: false,
        owner_signed_in: Some(NOW.plus_seconds(-DAY)),
        gateways: vec![cluster_open_to(crate::cluster::DEFAULT_NAME, PEOPLE, None, true)],
        ..estate(account, methods, roles, assocs)
    }
}

#[test]
fn nothing_is_wrong_with_a_good_account() {
    for advice in judge(&good()) {
        assert_eq!(advice.verdict, Verdict::Pass, "{advice:?}");
        assert!(advice.places.is_empty() && advice.more == 0);
    }
}

#[test]
fn every_check_finds_something_in_a_bad_account() {
    for advice in judge(&bad()) {
        assert_ne!(advice.verdict, Verdict::Pass, "{}", advice.check);
        for place in &advice.places {
            assert!(!place.at.is_empty() && !place.wrong.is_empty(), "{place:?}");
            assert!(place.mend.starts_with("keysherd "), "{place:?}");
        }
    }
}

#[test]
fn names_are_unique_and_practices_are_sentences() {
    let mut names = std::collections::BTreeSet::new();
    for check in checks() {
        assert!(names.insert(check.name), "{} twice", check.name);
        assert!(check.practice.ends_with('.') && !check.rows.is_empty(), "{check:?}");
        assert_ne!(check.severity, Verdict::Pass);
    }
}

#[test]
fn what_is_too_much_to_tell_is_counted() {
    let mut estate = bad();
    estate.root_items = (0..PLACES_MAX + 7).map(|n| format!("/x{n}")).collect();
    let advice = judge(&estate).into_iter().find(|it| it.check == "no-items-at-the-root").unwrap();
    assert_eq!((advice.places.len(), advice.more), (PLACES_MAX, 7));
}
