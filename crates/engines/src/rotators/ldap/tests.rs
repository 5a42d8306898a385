//! Passwords of entries in a real OpenLDAP, and how Active Directory is told of one.

mod active_directory;

use keysherd_base::{FaultKind, Secret};
use keysherd_targets::ldap::dn_escape;

use super::*;
use crate::engines::ldap::tests::shared;
use crate::testing::rotation::{Site, credential};
use crate::testing::target_of;
use crate::{NOT_LET_IN, NOT_REACHED};

const PEOPLE: (&str, &str) = ("user-dn", "ou=people,dc=example");

fn site(actor: Actor, more: &[(&'static str, &str)]) -> Site {
    let more: Vec<_> = [PEOPLE].iter().chain(more).copied().collect();
    Site::with(&MEMBER, shared().target(&[]), actor, &more)
}

fn dn(name: &str) -> String {
    format!("cn={},ou=people,dc=example", dn_escape(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_a_password_by_either_name() {
    let directory = shared();
    for name in ["app", "o'br \"x\"", "a,b+c\\*()", "ü;<$>#"] {
        directory.person(&dn(name), &[("uid", b"u1"), ("mail", b"a@b")], "first-1").await;
        let site = site(Actor::Target, &[]);
        let last = site.rotates(name, "first-1").await;
        let by_dn = Site::new(&MEMBER, directory.target(&[]), Actor::Target);
        let password = last.password().unwrap();
        let last = by_dn.rotates(&dn(name), password.expose()).await;
        assert!(directory.signs_in(&dn(name), last.password().unwrap().expose()).await);
        // Nothing else of it has changed, and the directory keeps it as it keeps passwords.
        assert_eq!(directory.read(&dn(name), "mail").await, Some(vec!["a@b".to_owned()]));
        let stored = directory.read(&dn(name), "userPassword").await.unwrap();
        assert!(stored.len() == 1 && stored[0].starts_with("{SSHA}"), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_changes_their_own_password() {
    let directory = shared();
    directory.person(&dn("own"), &[("uid", b"own-uid")], "first-1").await;
    let last = site(Actor::Owner, &[]).rotates(&dn("own"), "first-1").await;
    let by_uid = site(Actor::Owner, &[("user-attribute", "uid")]);
    by_uid.rotates("own-uid", last.password().unwrap().expose()).await;
}

#[test]
fn whom_the_target_signs_in_is_known_in_other_spellings() {
    let target = |name: &str, windows: bool| {
        let kind = if windows { "activedirectory" } else { "openldap" };
        target_of(
            "ldap",
            &[
                ("server-type", kind),
                ("ldap-url", "ldaps://directory.example"),
                ("bind-dn", name),
                ("bind-dn-password", "x"),
            ],
        )
    };
    for (own, given, windows, is) in [
        ("cn=keeper,dc=example", "CN=Keeper, DC=example", false, true),
        ("cn=keeper,dc=example", "cn=app,dc=example", false, false),
        ("CORP\\svc", "svc@corp.example", true, true),
        ("CORP\\svc", "CORP\\app", true, false),
        ("cn=svc,dc=corp", "", true, false),
    ] {
        let settings = target(own, windows);
        let target = TargetUse { type_name: "ldap", settings: &settings };
        assert_eq!(MEMBER.is_keepers(&target, &credential(given, "x")), is, "{own} {given}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_targets_own_password_changes() {
    let directory = shared();
    directory.person(&dn("keeper"), &[], "first-1").await;
    let name = dn("keeper");
    let target = directory.target(&[("bind-dn", &name), ("bind-dn-password", "first-1")]);
    let site = Site::new(&MEMBER, target, Actor::Owner);
    let own = MEMBER.of_target(&site.stage().target).unwrap();
    assert_eq!(own.username().unwrap(), name);
    site.rotates(&name, "first-1").await;
    assert_eq!(MEMBER.kind().target_settings, [("bind-dn-password", "password")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_or_may_not_is_said_so_and_nothing_changes() {
    let directory = shared();
    for unit in ["ou=people", "ou=fixed,ou=people"] {
        let twice = format!("cn=twice,{unit},dc=example");
        directory.person(&twice, &[], "first-1").await;
    }
    directory.person("cn=fixed,ou=fixed,ou=people,dc=example", &[], "first-1").await;
    let by_target = site(Actor::Target, &[]);
    for name in ["nobody", "twice", "*", "tw*", "twice)(cn=*"] {
        let old = credential(name, "first-1");
        let refused = by_target.change(&old, &by_target.next(&old)).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (FaultKind::BadRequest, NOT_REACHED),
            "{name}"
        );
        assert!(by_target.rotator.signs_in(&by_target.stage(), &old).await.is_err(), "{name}");
    }
    let old = credential("cn=fixed,ou=fixed,ou=people,dc=example", "first-1");
    let by_owner = site(Actor::Owner, &[]);
    let new = by_owner.next(&old);
    let refused = by_owner.change(&old, &new).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Forbidden, "{refused}");
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(by_owner.signs_in(&old).await && !by_owner.signs_in(&new).await);
    let wrong = credential(&dn("twice"), "wrong");
    let refused = by_owner.change(&wrong, &by_owner.next(&wrong)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_LET_IN);
    // A target that signs nobody in says nothing about a plain name.
    let closed = directory.target(&[("bind-dn-password", "wrong")]);
    let closed = Site::with(&MEMBER, closed, Actor::Target, &[PEOPLE]);
    assert!(MEMBER.signs_in(&closed.stage(), &credential("twice", "x")).await.is_err());
    assert!(MEMBER.signs_in(&closed.stage(), &credential("twice", "")).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_target_signs_in_is_not_changed_under_another_name() {
    let directory = shared();
    directory.person(&dn("itself"), &[], "first-1").await;
    let name = dn("itself");
    let target = directory.target(&[("bind-dn", &name), ("bind-dn-password", "first-1")]);
    let site = Site::with(&MEMBER, target, Actor::Target, &[PEOPLE]);
    let old = credential("itself", "first-1");
    let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
    assert!(refused.public().contains("rotator-type"), "{refused}");
    assert!(directory.signs_in(&name, "first-1").await);
}

/// Not Active Directory: a directory that has its attribute, and compares what is to be replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_directory_is_told_in_its_own_way() {
    let directory = shared();
    let first = windows_password("first-1");
    let attributes = [("uid", b"win".as_slice()), ("unicodePwd", first.expose().as_slice())];
    directory.person(&dn("win"), &attributes, "first-1").await;
    let windows = || directory.target(&[("server-type", "ActiveDirectory")]);
    let has = async |password: &SecretString| {
        let coded = windows_password(password.expose());
        let kept = directory.read(&dn("win"), "unicodePwd").await.unwrap();
        kept == [String::from_utf8(coded.expose().clone()).unwrap()]
    };
    let old = credential(&dn("win"), "first-1");
    let by_owner = Site::new(&MEMBER, windows(), Actor::Owner);
    let new = by_owner.next(&old);
    by_owner.change(&old, &new).await.unwrap();
    assert!(has(&new.password().unwrap()).await);
    // The old one is compared, as the owner is believed for that only.
    let refused = by_owner.change(&old, &by_owner.next(&new)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::BadRequest, "{refused}");
    assert!(has(&new.password().unwrap()).await);
    let more = [PEOPLE, ("user-attribute", "uid")];
    let by_target = Site::with(&MEMBER, windows(), Actor::Target, &more);
    let again = by_target.next(&credential("win", "any"));
    by_target.change(&credential("win", "any"), &again).await.unwrap();
    assert!(has(&again.password().unwrap()).await);
}

#[test]
fn people_read_where_somebody_is_looked_for() {
    let site = site(Actor::Target, &[("user-attribute", "uid")]);
    let shown = MEMBER.shown(site.stage().settings, &credential("app", "secret"));
    let payload = json!({"ldap_user_attr": "uid", "ldap_user_dn": "ou=people,dc=example"});
    let want = json!({"username": "app", "password": "secret", "ldap_payload": payload});
    assert_eq!(Value::Object(shown), want);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (field, value) in
        [("user-dn", "people"), ("user-attribute", "cn=*)(x"), ("password-length", "1")]
    {
        let fault = site(Actor::Target, &[(field, value)]).check().unwrap_err();
        assert!(fault.public().contains(field), "{fault}");
    }
    let site = site(Actor::Target, &[]);
    let other = TargetUse { type_name: "postgres", settings: &site.target };
    let fault = MEMBER.check(site.stage().settings, &other).unwrap_err();
    assert!(fault.public().contains("target-name"), "{fault}");
}

#[test]
fn a_domain_has_its_own_entries_and_none_of_the_domains_below() {
    let root = "DC=corp,DC=example";
    for (dn, is_in) in [
        ("CN=bob,CN=Users,DC=corp,DC=example", true),
        ("cn=bob,ou=x,dc=CORP,dc=example", true),
        // Odd ones are rather refused.
        ("cn=bob,ou=x\\,dc=y,dc=CORP,dc=example", false),
        ("CN=bob,CN=Users,DC=sub,DC=corp,DC=example", false),
        ("CN=bob,CN=Users, DC=sub,DC=corp,DC=example", false),
        ("CN=bob,CN=Users,DC=example", false),
        ("CN=bob,CN=Users,DC=xcorp,DC=example", false),
        ("CN=bob,OU=xDC=corp,DC=example", false),
        ("DC=corp,DC=example", false),
    ] {
        assert_eq!(is_in_domain(dn, root), is_in, "{dn}");
    }
}
