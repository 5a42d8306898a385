//! Passwords in the Active Directory of a real domain controller, which is Samba's.

use keysherd_targets::WRONG_CREDENTIALS;

use super::*;
use crate::engines::ldap::tests::{Domain, USERS, domain};

const FIRST: &str = "First-password-1";

fn site(domain: &Domain, actor: Actor) -> Site {
    let more = [("user-dn", USERS), ("user-attribute", "sAMAccountName")];
    Site::with(&MEMBER, domain.target(&[]), actor, &more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_a_password_by_every_name() {
    let Some(domain) = domain() else { return };
    let dn = domain.entry("app", Some(FIRST)).await;
    let mut password = FIRST.to_owned();
    for name in ["app", "CORP\\app", "corp\\APP", "app@corp.example", &dn] {
        let last = site(domain, Actor::Target).rotates(name, &password).await;
        password = last.password().unwrap().expose().clone();
        assert!(domain.signs_in(&dn, &password).await, "{name}");
        assert!(!domain.signs_in(&dn, FIRST).await, "{name}");
    }
    assert!(domain.read(&dn, "unicodePwd").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_changes_their_own_password() {
    let Some(domain) = domain() else { return };
    let dn = domain.entry("own", Some(FIRST)).await;
    let site = site(domain, Actor::Owner);
    let last = site.rotates("own", FIRST).await;
    let last = site.rotates(&dn, last.password().unwrap().expose()).await;
    // A password of before is one that the domain remembers.
    let refused = site.change(&last, &credential(&dn, FIRST)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::BadRequest, "{refused}");
    assert!(!format!("{refused:?}").contains(FIRST));
    assert!(site.signs_in(&last).await);
    let wrong = credential("own", "Wrong-password-1");
    let refused = site.change(&wrong, &site.next(&wrong)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_LET_IN);
    assert!(site.signs_in(&last).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_targets_own_password_changes() {
    let Some(domain) = domain() else { return };
    let dn = domain.entry("keeper", Some(FIRST)).await;
    for name in [dn.as_str(), "keeper@corp.example"] {
        domain.reset("keeper", FIRST).await;
        let target = domain.target(&[("bind-dn", name), ("bind-dn-password", FIRST)]);
        let more = [("user-dn", USERS)];
        let site = Site::with(&MEMBER, target, Actor::Owner, &more);
        let own = MEMBER.of_target(&site.stage().target).unwrap();
        assert_eq!(own.username().unwrap(), name);
        site.rotates(name, FIRST).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_or_is_not_there_is_said_so_and_nothing_changes() {
    let Some(domain) = domain() else { return };
    domain.entry("plain", Some(FIRST)).await;
    let victim = domain.entry("victim", Some(FIRST)).await;
    let more = [("bind-dn", "plain@corp.example"), ("bind-dn-password", FIRST)];
    let named = [("user-dn", USERS), ("user-attribute", "sAMAccountName")];
    let weak = Site::with(&MEMBER, domain.target(&more), Actor::Target, &named);
    let old = credential("victim", FIRST);
    let new = weak.next(&old);
    let refused = weak.change(&old, &new).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Forbidden, "{refused}");
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(domain.signs_in(&victim, FIRST).await && !weak.signs_in(&new).await);
    let site = site(domain, Actor::Target);
    let nobody = credential("nobody", FIRST);
    let refused = site.change(&nobody, &site.next(&nobody)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_is_known_of_who_may_not_sign_in() {
    let Some(domain) = domain() else { return };
    let site = site(domain, Actor::Target);
    for (name, attribute, value, words) in [
        ("disabled", "userAccountControl", "514", "turned off"),
        ("over", "accountExpires", "116444736000000000", "account has expired"),
        ("must", "pwdLastSet", "0", "must be changed"),
    ] {
        let dn = domain.entry(name, Some(FIRST)).await;
        let value = Secret::new(value.as_bytes().to_vec());
        let mut session = domain.session().await;
        session.replace_secret(&dn, attribute, None, &value).await.unwrap();
        let fault = domain.sign_in(&dn, FIRST).await.unwrap_err();
        assert!(fault.public().contains(words), "{name}: {fault}");
        assert!(site.signs_in(&credential(name, FIRST)).await, "{name}");
        assert!(!site.signs_in(&credential(name, "Wrong-password-1")).await, "{name}");
    } // Of a locked account nobody is told whether the password is right.
    let dn = domain.entry("locked", Some(FIRST)).await;
    let mut guesses = 0;
    while domain.sign_in(&dn, "Wrong-password-1").await.unwrap_err().code() == WRONG_CREDENTIALS {
        guesses += 1;
        assert!(guesses < 50, "it is never locked");
    }
    for password in [FIRST, "Wrong-password-1"] {
        let said = site.rotator.signs_in(&site.stage(), &credential("locked", password)).await;
        let fault = said.unwrap_err();
        assert!(fault.public().contains("this account is locked"), "{fault}");
    }
}

/// Whom another domain's server would sign in is not the one that is found here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_of_another_domain_is_taken_for_one_of_this() {
    let Some(domain) = domain() else { return };
    let dn = domain.entry("namesake", Some(FIRST)).await;
    for name in ["OTHER\\namesake", "*\\namesake", "\\namesake", "CORP)(cn=*\\namesake"] {
        let old = credential(name, FIRST);
        for actor in [Actor::Target, Actor::Owner] {
            let site = site(domain, actor);
            let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
            assert!([NOT_REACHED, NOT_LET_IN].contains(&refused.code()), "{name} {refused}");
            assert!(domain.signs_in(&dn, FIRST).await, "{name}");
        }
    }
    let site = site(domain, Actor::Target);
    let old = credential("OTHER\\namesake", FIRST);
    let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
    assert!(refused.public().contains("not one of that domain"), "{refused}");
}
