//! Against a stand-in for Snowflake's SQL interface, which takes tokens that a key in one of the
//! user's two places has signed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keysherd_base::{FaultKind, Timestamp};
use keysherd_crypto::jwt::{Expected, JwtKeys, verify};
use serde_json::json;

use super::*;
use crate::rotator::{Brought, Change, Rotator as _, bring_about};
use crate::testing::rotation::Site;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{target, way};

/// Keys of users by the places, in base64.
#[derive(Default)]
struct World {
    users: BTreeMap<String, [String; 2]>,
    /// Rows of DESCRIBE USER that are not shown.
    hidden: &'static [&'static str],
    /// Whether the next answer to a change gets lost.
    lost: bool,
    /// Whether nobody may change anything.
    denied: bool,
}

fn pem(public: &str) -> String {
    let lines: Vec<_> = public.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn print(public: &str) -> String {
    match public {
        "" => "null".to_owned(),
        some => format!("SHA256:{}", STANDARD.encode(sha256(&[&STANDARD.decode(some).unwrap()]))),
    }
}

impl World {
    /// Who has signed a token.
    fn signer(&self, token: &str) -> Option<String> {
        self.users.iter().find_map(|(user, keys)| {
            let signed = |key: &&String| {
                let issuer = format!("MYORG-ACCOUNT.{user}.{}", print(key));
                let expected = Expected {
                    issuers: &[&issuer],
                    audiences: &[],
                    now: Timestamp::from_seconds(1_767_607_872),
                    skew_seconds: 0,
                };
                let keys = JwtKeys::from_public_pem(&pem(key)).unwrap();
                verify(token, &keys, &expected).is_ok()
            };
            keys.iter().filter(|key| !key.is_empty()).find(signed).map(|_| user.clone())
        })
    }

    fn answer(&mut self, asked: &Asked) -> (u16, String) {
        let token = asked.header("authorization").unwrap().trim_start_matches("Bearer ");
        let Some(by) = self.signer(token) else {
            let message = format!("JWT token is invalid. {token}");
            return (401, json!({"code": "390144", "message": message}).to_string());
        };
        let given = asked.json();
        let statement = given["statement"].as_str().unwrap();
        let user = statement.split('"').nth(1).unwrap_or(&by).to_owned();
        if self.denied && by != "KEEPER" && statement.starts_with("ALTER") {
            return (422, json!({"code": "003001", "message": statement}).to_string());
        }
        let Some(keys) = self.users.get_mut(&user) else {
            return (422, json!({"code": "002003", "message": statement}).to_string());
        };
        let words: Vec<_> = statement.split(' ').collect();
        let place = |name: &str| PLACES.iter().position(|(known, _)| *known == name).unwrap();
        let mut rows = Vec::new();
        match words.as_slice() {
            ["SELECT", "1"] => {}
            ["DESCRIBE", "USER", _] => {
                rows.push(json!(["NAME", user, "null", ""]));
                let shown = PLACES.iter().zip(keys.iter());
                let shown = shown.filter(|((_, name), _)| !self.hidden.contains(name));
                rows.extend(shown.map(|((_, name), key)| json!([name, print(key), "null", ""])));
            }
            ["ALTER", "USER", _, "SET", name, "=", key] => {
                keys[place(name)] = key.trim_matches('\'').to_owned();
            }
            ["ALTER", "USER", _, "UNSET", name] => keys[place(name)].clear(),
            other => panic!("{other:?}"),
        }
        if words[0] == "ALTER" && std::mem::take(&mut self.lost) {
            return (503, String::new());
        }
        (200, json!({"code": "090001", "data": rows}).to_string())
    }
}

struct Snowed {
    world: Arc<Mutex<World>>,
    site: Site,
    first: Credential,
    _stub: Stub,
}

fn drawn(user: &str) -> Credential {
    of_key("", user, &RsaPair::generate().unwrap().private_pem).unwrap()
}

async fn snowed(actor: Actor) -> Snowed {
    let world = Arc::<Mutex<World>>::default();
    let (keeper, first) = (drawn("keeper"), drawn("app"));
    for (user, key) in [("KEEPER", &keeper), ("APP", &first)] {
        let keys = [public(key).unwrap().0, String::new()];
        world.lock().unwrap().users.insert(user.to_owned(), keys);
    }
    let kept = world.clone();
    let stub = Stub::new(move |asked: &Asked| kept.lock().unwrap().answer(asked)).await;
    let mut way = way();
    way.endpoints.snowflake = Some(stub.url.clone());
    let target = target(&[
        ("db-type", "snowflake"),
        ("snowflake-account", "myorg-account"),
        ("user-name", "keeper"),
        ("snowflake-api-private-key", keeper.text(PRIVATE).unwrap()),
    ]);
    let mut site = Site::new(&MEMBER, target, actor);
    site.endpoints(&way);
    Snowed { world, site, first, _stub: stub }
}

impl Snowed {
    async fn brought(&self, (old, new): (&Credential, &Credential), resumed: bool) -> Brought {
        let change = Change { old, new, resumed, beside: false };
        bring_about(&MEMBER, &self.site.stage(), &change, || Ok(())).await
    }

    fn keys(&self) -> [String; 2] {
        self.world.lock().unwrap().users["APP"].clone()
    }
}

#[tokio::test]
async fn keys_take_turns_in_the_two_places() {
    for actor in [Actor::Owner, Actor::Target] {
        let snowed = snowed(actor).await;
        snowed.site.check().unwrap();
        let mut old = Credential::of_members(snowed.first.members());
        for round in 0..2 {
            let new = snowed.site.next(&old);
            assert!(snowed.site.signs_in(&old).await && !snowed.site.signs_in(&new).await);
            snowed.world.lock().unwrap().lost = round == 1;
            for resumed in [false, true] {
                let brought = snowed.brought((&old, &new), resumed).await;
                assert!(matches!(brought, Brought::Changed(_)), "{round}: {brought:?}");
                assert!(!snowed.site.signs_in(&old).await && snowed.site.signs_in(&new).await);
            }
            let mut keys = [String::new(), String::new()];
            keys[1 - round] = public(&new).unwrap().0;
            assert_eq!(snowed.keys(), keys, "{round}");
            old = new;
        }
    }
}

#[tokio::test]
async fn keys_of_others_stay_and_who_stops_in_between_is_followed() {
    let snowed = snowed(Actor::Owner).await;
    let new = snowed.site.next(&snowed.first);
    let others = public(&drawn("app")).unwrap().0;
    snowed.world.lock().unwrap().users.get_mut("APP").unwrap()[1].clone_from(&others);
    let before = snowed.keys();
    let brought = snowed.brought((&snowed.first, &new), false).await;
    let Brought::Unchanged(full) = brought else { panic!("{brought:?}") };
    assert_eq!(full.kind(), FaultKind::Conflict, "{full}");
    assert_eq!(snowed.keys(), before);
    // Stopped after the new key was set: it is taken, and the old one goes.
    snowed.world.lock().unwrap().users.get_mut("APP").unwrap()[1] = public(&new).unwrap().0;
    let brought = snowed.brought((&snowed.first, &new), true).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(snowed.keys(), [String::new(), public(&new).unwrap().0]);
    snowed.world.lock().unwrap().denied = true;
    let third = snowed.site.next(&new);
    let brought = snowed.brought((&new, &third), false).await;
    let Brought::Unchanged(denied) = brought else { panic!("{brought:?}") };
    assert_eq!(denied.kind(), FaultKind::Forbidden, "{denied}");
    let brought = snowed.brought((&third, &snowed.first), false).await;
    let Brought::Unchanged(wrong) = brought else { panic!("{brought:?}") };
    for fault in [full, denied, wrong] {
        assert!(!format!("{fault:?}").contains("PRIVATE"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_place_that_is_not_shown_is_not_free() {
    let snowed = snowed(Actor::Target).await;
    let (old, new) = (&snowed.first, snowed.site.next(&snowed.first));
    let before = snowed.world.lock().unwrap().users["APP"].clone();
    let stage = snowed.site.stage();
    for hidden in
        [&["RSA_PUBLIC_KEY_FP"][..], &["RSA_PUBLIC_KEY_2_FP"], &[PLACES[0].1, PLACES[1].1]]
    {
        snowed.world.lock().unwrap().hidden = hidden;
        let brought = snowed.brought((old, &new), false).await;
        let Brought::Unchanged(fault) = brought else { panic!("{brought:?}") };
        assert!(fault.public().contains("DESCRIBE USER"), "{fault}");
        // Nor is the old key gone because nobody sees it.
        assert!(MEMBER.retire(&stage, &new, old).await.is_err());
        assert_eq!(snowed.world.lock().unwrap().users["APP"], before);
    }
}

#[tokio::test]
async fn a_targets_own_key_and_what_makes_no_sense() {
    let snowed = snowed(Actor::Owner).await;
    let own = MEMBER.of_target(&snowed.site.stage().target).unwrap();
    assert!(snowed.site.signs_in(&own).await);
    let with_token = target(&[
        ("db-type", "snowflake"),
        ("snowflake-account", "myorg-account"),
        ("user-name", "keeper"),
        ("pwd", "token"),
    ]);
    let site = Site::with(&MEMBER, with_token, Actor::Owner, &[("rotation-statement", "x")]);
    assert!(site.check().unwrap_err().public().contains("rotation-statement"));
    // Signed in with a key or a token, it is the same user.
    for site in [&snowed.site, &site] {
        let user = own.username().unwrap();
        for (name, is) in [(user, true), (&user.to_uppercase(), true), ("app", false)] {
            let given = Credential::of_texts(&[(USERNAME, name), (PRIVATE, "other")]);
            assert_eq!(MEMBER.is_keepers(&site.stage().target, &given), is, "{name}");
        }
    }
    let missing = MEMBER.of_target(&site.stage().target).err().unwrap();
    assert!(missing.public().contains("snowflake-api-private-key"), "{missing}");
    let refused = |given: &[(&'static str, &str)]| {
        let mut args = Args::new();
        given.iter().for_each(|(name, value)| args.put(name, (*value).into()));
        MEMBER.first(&args).err().unwrap().public().to_owned()
    };
    assert!(refused(&[]).contains("rotated-username"));
    let user = ("rotated-username", "app");
    assert!(refused(&[user]).contains("private-key"));
    assert!(refused(&[user, ("private-key", "x")]).contains("private-key"));
    assert!(refused(&[user, ("rotated-password", "x")]).contains("rotated-password"));
    let old = MEMBER.corrected(&Args::new(), &snowed.first).unwrap();
    assert_eq!(old.members(), snowed.first.members());
}
