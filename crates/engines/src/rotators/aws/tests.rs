//! Access keys at moto, a stand-in for AWS that checks every signature and every right.

use keysherd_base::FaultKind;

use super::*;
use crate::engines::aws::tests::shared;
use crate::rotator::{Brought, Change, Rotator as _, bring_about};
use crate::testing::rotation::{Site, credential};

const ALLOW_ALL: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
    \"Action\":\"*\",\"Resource\":\"*\"}]}";
const ALLOW_NOTHING: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\
    \"Action\":\"iam:*\",\"Resource\":\"*\"}]}";

fn site(actor: Actor) -> Site {
    let mut site = Site::new(&MEMBER, shared().target(&[]), actor);
    site.endpoints(&shared().way());
    site
}

/// Makes a user with a key.
async fn user(name: &str, policy: &str) -> Credential {
    let (account, way) = (aws_account(&shared().target(&[])).unwrap(), shared().way());
    let session = account.open(&way).await.unwrap();
    let named = ("UserName", name);
    let policy = [named, ("PolicyName", "own"), ("PolicyDocument", policy)];
    session.identity("CreateUser", &[named], "a user").await.unwrap();
    session.identity("PutUserPolicy", &policy, "a policy").await.unwrap();
    let key = session.identity("CreateAccessKey", &[named], "a key").await.unwrap();
    let part = |name| value(key.expose(), name).unwrap();
    credential(&part("AccessKeyId"), &part("SecretAccessKey"))
}

async fn keys(name: &str) -> Vec<String> {
    let (account, way) = (aws_account(&shared().target(&[])).unwrap(), shared().way());
    let session = account.open(&way).await.unwrap();
    keys_of(&session, ("UserName", name)).await.unwrap()
}

async fn obtained(site: &Site, old: &Credential) -> Credential {
    MEMBER.obtained(&site.stage(), old).await.unwrap().expect("AWS makes them")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_takes_the_place_of_the_old_one() {
    for (name, actor, policy) in
        [("own", Actor::Owner, ALLOW_ALL), ("poor", Actor::Target, ALLOW_NOTHING)]
    {
        let site = site(actor);
        site.check().unwrap();
        let mut old = user(name, policy).await;
        for round in 1..=3 {
            let new = obtained(&site, &old).await;
            assert!(site.signs_in(&old).await && site.signs_in(&new).await, "{name} {round}");
            assert!(!site.signs_in(&site.next(&new)).await, "nobody has that one");
            site.change(&old, &new).await.unwrap();
            assert!(!site.signs_in(&old).await && site.signs_in(&new).await, "{name} {round}");
            // Whoever does not know that it was done may do it once more.
            site.change(&old, &new).await.unwrap();
            assert_eq!(keys(name).await, [new.username().unwrap()], "{name} {round}");
            old = new;
        }
        let refused = site.change(&old, &credential("AKIAREMOVED", "x")).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::BadRequest, "{refused}");
        assert!(site.signs_in(&old).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_making_nobody_heard_of_makes_room_for_the_next_one() {
    let (site, old) = (site(Actor::Target), user("unheard", ALLOW_NOTHING).await);
    let unheard = obtained(&site, &old).await;
    let new = obtained(&site, &old).await;
    let there = keys("unheard").await;
    assert_eq!(there, [old.username().unwrap(), new.username().unwrap()]);
    assert!(!site.signs_in(&unheard).await && site.signs_in(&old).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_key_stays_for_a_while_or_goes_with_whoever_follows() {
    let site = site(Actor::Target);
    for beside in [true, false] {
        let name = format!("beside-{beside}");
        let old = user(&name, ALLOW_NOTHING).await;
        let new = obtained(&site, &old).await;
        for resumed in [false, true] {
            let change = Change { old: &old, new: &new, resumed, beside };
            let brought = bring_about(&MEMBER, &site.stage(), &change, || Ok(())).await;
            assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
            assert!(site.signs_in(&old).await == beside && site.signs_in(&new).await);
        }
        for _ in 0..2 {
            MEMBER.retire(&site.stage(), &new, &old).await.unwrap();
            assert!(!site.signs_in(&old).await && site.signs_in(&new).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_said_so_and_nothing_changes() {
    let (site, old) = (site(Actor::Owner), user("may-not", ALLOW_NOTHING).await);
    let refused = MEMBER.obtained(&site.stage(), &old).await.err().unwrap();
    assert_eq!(refused.kind(), FaultKind::Forbidden, "{refused}");
    assert!(!format!("{refused:?}").contains(old.password().unwrap().expose().as_str()));
    assert_eq!(keys("may-not").await.len(), 1);
    let wrong = credential(old.username().unwrap(), "wrong");
    assert!(!site.signs_in(&wrong).await && MEMBER.obtained(&site.stage(), &wrong).await.is_err());
}

#[test]
fn a_targets_own_key_and_what_makes_no_sense() {
    let site = site(Actor::Owner);
    let own = MEMBER.of_target(&site.stage().target).unwrap();
    let target = site.target.to_value();
    assert_eq!(own.username().unwrap(), target["access-key-id"].as_str().unwrap());
    assert_eq!(own.password().unwrap().expose(), target["access-key"].as_str().unwrap());
    for (field, value, said) in
        [("aws-region", "a.example/", "region"), ("password-length", "1", "password-length")]
    {
        let site = Site::with(&MEMBER, shared().target(&[]), Actor::Owner, &[(field, value)]);
        let fault = site.check().unwrap_err();
        assert!(fault.public().contains(said), "{fault}");
    }
    let mut given = Args::new();
    assert!(MEMBER.first(&given).err().unwrap().public().contains("api-id"));
    given.put("api-id", "AKIA".into());
    assert!(MEMBER.first(&given).err().unwrap().public().contains("api-key"));
    given.put("api-key", "secret".into());
    let first = MEMBER.first(&given).unwrap();
    assert_eq!(first.members(), credential("AKIA", "secret").members());
}
