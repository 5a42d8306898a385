//! The authorization walk: every command under every name refuses whoever may not run it, and a
//! refused call changes nothing.

mod arguments;
mod members;
mod objects;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kit::{Api, Bootstrap, Person, Reply, Rule, Server, Site, Spec, commands, wait_until};
pub(crate) use arguments::arguments;
pub(crate) use members::{base64, kind_of, own_arguments};
pub(crate) use objects::Objects;
use objects::everything;

/// Commands that take no token. A new one needs a test of what it gives to strangers.
pub(crate) const OPEN: &[&str] = &[
    "auth",
    "complete-auth",
    "configure",
    "get-cert-challenge",
    "mfa-confirm",
    "mfa-enroll",
    "mfa-remove",
    "static-creds-auth",
    "uid-rotate-token",
    "validate-producer-credentials",
    "validate-token",
];
/// The kinds of rules about paths, with all they can grant.
const KINDS: &[&str] = &["item-rule", "target-rule", "role-rule", "auth-method-rule"];
const ALL: &[&str] = &["read", "create", "update", "delete", "list"];

/// What became of the calls that should have been refused.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn demand(&mut self, holds: bool, who: &str, name: &str, reply: &Reply) {
        if !holds {
            self.0.push(format!("{name} by {who}: {} {:.200}", reply.status, reply.text()));
        }
    }
}

#[test]
fn every_command_refuses_whoever_may_not_run_it() {
    let site = Site::new();
    let list = commands(&site.home());
    let mut open: Vec<_> = list.iter().filter(|spec| spec.access == "open").collect();
    open.sort_by_key(|spec| &spec.name);
    let open: Vec<_> = open.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(open, OPEN, "say here what a new open command gives to strangers");
    let list: Vec<_> = list.into_iter().filter(|spec| spec.access != "open").collect();

    let foreign_key = foreign_account(&site);
    let server = site.start();
    let admin = server.admin();
    let objects = Objects::make(&server, &admin, &list);
    let strangers = Strangers::gather(&server, &admin, &foreign_key);
    let almost = almost_permitted(&admin, &list);
    let nobody = admin.person_who_may("/walkers/roleless", &[]);
    let before = everything(&admin);

    let mut findings = Findings::default();
    for spec in &list {
        for (name, _) in spec.names() {
            let args = arguments(spec, name, &objects);
            strangers.walk(name, &args, &mut findings);
            foreign(&strangers.foreign, spec, name, &args, &objects, &mut findings);
            roleless(&nobody, spec, name, &args, &objects, &mut findings);
            if let Some(person) = spec_person(&almost, spec) {
                let reply = person.api.call(name, args);
                findings.demand(is_refusal(&reply), &person.method, name, &reply);
            }
        }
    }
    assert!(findings.0.is_empty(), "{:#?}", findings.0);
    assert_eq!(changed(&before, &everything(&admin)), Vec::<String>::new());
    good_path(&server, &admin, &list, &objects);
}

/// Where two snapshots differ.
fn changed(before: &Value, after: &Value) -> Vec<String> {
    let parts = before.as_object().unwrap().keys();
    let differing = parts.filter(|part| before[part.as_str()] != after[part.as_str()]);
    differing.map(|part| format!("{part}: {:.2000}", after[part.as_str()].to_string())).collect()
}

/// The arguments make sense: whoever may run the command with them can.
fn good_path(server: &Server, admin: &Api, list: &[Spec], objects: &Objects) {
    // Asked once: every one of these commands would ask for the password again.
    let owner = server.owner();
    // The owner's password is another one after the walk over the session.
    let (owners, others): (Vec<_>, Vec<_>) =
        list.iter().partition(|spec| without_people(&spec.name).is_some());
    for spec in owners.into_iter().chain(others) {
        for (name, success) in spec.names() {
            let caller = who_may(&owner, server, admin, name);
            let reply = caller.call(name, arguments(spec, name, objects));
            let text = reply.text();
            let expected = without_people(name).unwrap_or(success);
            assert_eq!(reply.status, expected, "{name} by one who may: {text}");
        }
    }
}

/// What the owner is told who is the only person and has no second factor; `people.rs` has these
/// commands done.
fn without_people(name: &str) -> Option<u16> {
    match name {
        "owner-seal" | "owner-unseal" => Some(403),
        "transfer-ownership" => Some(404),
        // This server is in no cluster; `gateways.rs` deletes one.
        "delete-gateway-cluster" => Some(404),
        // Only those of its cluster may; `listener_tls.rs` does.
        "gateway-update-tls-cert" => Some(403),
        // As above; `gateways/access.rs` does.
        name if name.ends_with("-allowed-access") => Some(409),
        // As above; `gateways/defaults.rs` and the flows of the testkit do.
        "gateway-get-defaults" | "gateway-update-defaults" | "gateway-rekey-config" => Some(409),
        // As above; `gateways/standby.rs` does.
        "gateway-promote" | "gateway-demote" => Some(409),
        _ => None,
    }
}

/// One who may run a command, and need not run anything afterwards.
pub(crate) fn who_may(owner: &Api, server: &Server, admin: &Api, name: &str) -> Api {
    match name {
        "change-admin-account-password" => owner.clone(),
        "owner-seal" | "owner-unseal" | "transfer-ownership" => owner.clone(),
        "revoke-creds" => server.admin(),
        _ => admin.clone(),
    }
}

/// Makes a second account; gives its administrator.
pub(crate) fn foreign_account(site: &Site) -> Bootstrap {
    site.start().stop();
    let (data, out) = (site.data().display().to_string(), site.path("foreign"));
    let out_text = out.display().to_string();
    let mut args = vec!["account", "create", "--data-dir", &data, "--out", &out_text];
    args.extend(["--owner-email", "other@example.com"]);
    site.run(&args).expect(0);
    Bootstrap::read(&out.join("bootstrap.json"))
}

/// Callers whose tokens are not good, and one of another account.
struct Strangers {
    bad: Vec<(&'static str, Api)>,
    foreign: Api,
}

impl Strangers {
    fn gather(server: &Server, admin: &Api, foreign: &Bootstrap) -> Self {
        let token = admin.token();
        let mut flipped = token.to_owned();
        let last = if flipped.pop() == Some('A') { 'B' } else { 'A' };
        flipped.push(last);
        let nobody = server.nobody();
        let bad = vec![
            ("no token", nobody.clone()),
            ("an empty token", nobody.with_token("")),
            ("garbage", nobody.with_token("t-0123456789abcdef")),
            ("an altered token", nobody.with_token(&flipped)),
            ("a cut token", nobody.with_token(&token[..token.len() - 2])),
            ("a revoked token", revoked(server)),
            ("an expired token", expired(admin)),
        ];
        Self { bad, foreign: nobody.login(&foreign.access_id, &foreign.access_key) }
    }

    fn walk(&self, name: &str, args: &Value, findings: &mut Findings) {
        for (who, api) in &self.bad {
            let reply = api.call(name, args.clone());
            findings.demand(reply.status == 401, who, name, &reply);
            assert!(!reply.error().is_empty(), "{name} by {who}");
        }
    }
}

fn revoked(server: &Server) -> Api {
    let api = server.admin();
    api.ok("describe-sub-claims", json!({}));
    api.ok("revoke-creds", json!({}));
    api
}

/// A token that ended by itself, of a method that is still good.
fn expired(admin: &Api) -> Api {
    let name = "/walkers/expired";
    let person = admin.new_person_until_soon(name);
    let role = "/walkers/expired";
    admin.new_role(role, &[("item-rule", "/*", "read"), ("role-rule", "/*", "update")]);
    admin.associate(role, &person);
    admin.ok("auth-method-update-api-key", json!({"name": name, "access-expires": 0}));
    let valid = || person.api.ok("validate-token", json!({}))["is_valid"] == true;
    wait_until("a token to expire", || !valid());
    person.api.login(&person.access_id, &person.access_key);
    person.api
}

/// For each right that some command needs: one who has every other right.
fn almost_permitted(admin: &Api, list: &[Spec]) -> BTreeMap<String, Person> {
    let mut people = BTreeMap::new();
    for spec in list.iter().filter(|spec| spec.right().is_some() || spec.access == "admin") {
        let (kind, capability) = spec.right().unwrap_or(("admin", ""));
        people.entry(spec.access.clone()).or_insert_with(|| {
            let rules = KINDS.iter().filter_map(|known| {
                let all_but = |c: &&&str| *known != kind || **c != capability;
                let granted: Vec<_> = ALL.iter().filter(all_but).copied().collect();
                // Any capability implies list.
                let possible = *known != kind || capability != "list";
                possible.then(|| (*known, granted.join(",")))
            });
            let rules: Vec<_> = rules.collect();
            let rules: Vec<Rule<'_>> =
                rules.iter().map(|(known, granted)| (*known, "/*", granted.as_str())).collect();
            let name = format!("/walkers/all-but-{kind}-{capability}").replace("-admin-", "-admin");
            admin.person_who_may(&name, &rules)
        });
    }
    people
}

/// Whether nothing was done: by status, or by an answer that gives a reason for each object.
fn is_refusal(reply: &Reply) -> bool {
    let nothing_deleted = || {
        let answer = reply.json();
        answer["deleted_items"] == json!([])
            && answer["failed_deleted_items"].as_object().is_some_and(|failed| !failed.is_empty())
    };
    reply.status == 401 || reply.status == 200 && nothing_deleted()
}

fn spec_person<'a>(almost: &'a BTreeMap<String, Person>, spec: &Spec) -> Option<&'a Person> {
    almost.get(&spec.access)
}

/// An administrator of another account does what they like in their own, and learns nothing.
fn foreign(
    api: &Api,
    spec: &Spec,
    name: &str,
    args: &Value,
    objects: &Objects,
    findings: &mut Findings,
) {
    // Revoking would end the walk of this token.
    if name == "revoke-creds" {
        return;
    }
    let reply = api.call(name, args.clone());
    let about_a_path = spec
        .right()
        .is_some_and(|(kind, capability)| KINDS.contains(&kind) && capability != "create");
    let refused = matches!(reply.status, 401 | 404) || name == "change-admin-account-password";
    let who = "the administrator of another account";
    findings.demand(refused || !about_a_path, who, name, &reply);
    findings.demand(!reply.text().contains(&objects.marker), who, name, &reply);
}

/// One of this account without any right gets what every token gets, and empty listings.
fn roleless(
    person: &Person,
    spec: &Spec,
    name: &str,
    args: &Value,
    objects: &Objects,
    findings: &mut Findings,
) {
    let api = person.api.login(&person.access_id, &person.access_key);
    let reply = api.call(name, args.clone());
    let who = "one without a role";
    let expected = match spec.access.as_str() {
        "token" => reply.is_success() || reply.status == 403,
        access if access.ends_with(" listing") => reply.status == 200 && is_empty(&reply.json()),
        _ => matches!(reply.status, 401 | 404),
    };
    findings.demand(expected, who, name, &reply);
    findings.demand(!reply.text().contains(&objects.marker), who, name, &reply);
}

/// Whether a listing shows nothing.
fn is_empty(listing: &Value) -> bool {
    listing.as_object().unwrap().values().all(|value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        // A kubeconfig file of nothing is one all the same.
        Value::Object(file) => file.get("clusters") == Some(&json!([])),
        other => *other == json!(false),
    })
}
