//! Against a stand-in for OpenAI that makes, shows and removes keys of administrators as
//! https://platform.openai.com/docs/api-reference/admin-api-keys says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::FaultKind;

use super::*;
use crate::rotator::{Brought, Change, Rotator as _, bring_about};
use crate::testing::rotation::{Site, credential};
use crate::testing::stub::{Asked as Question, Stub};
use crate::testing::target_of;

const KEEPER: &str = "sk-admin-keeper-canary-9999";
const FIRST: &str = "sk-admin-first-canary-0000";
const PROJECTS: &str = "sk-proj-canary";

/// Keys by their ids, with their names.
#[derive(Default)]
struct Organization {
    keys: BTreeMap<String, (String, String)>,
    made: usize,
    /// How often the newest key is not known yet.
    lag: usize,
    /// What is answered in place of a key that was to be made.
    odd: Option<&'static str>,
    /// Whether the next answer that has made a key gets lost.
    lost: bool,
}

impl Organization {
    fn answer(&mut self, asked: &Question) -> (u16, String) {
        let key = asked.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
        let newest = self.keys.keys().next_back().cloned();
        let known = self.keys.iter().find(|(_, (text, _))| *text == key).map(|(id, _)| id.clone());
        let is_late = self.lag > 0 && known.is_some() && known == newest;
        if key == PROJECTS {
            return (403, json!({"error": {"message": key}}).to_string());
        }
        if known.is_none() || is_late {
            self.lag = self.lag.saturating_sub(usize::from(is_late));
            let message = format!("Incorrect API key provided: {key}");
            let error = json!({"code": "invalid_api_key", "message": message});
            return (401, json!({"error": error}).to_string());
        }
        let (method, path) = asked.line.split_once(" /v1/organization/admin_api_keys").unwrap();
        match (method, path) {
            ("GET", "?limit=1") => (200, json!({"data": []}).to_string()),
            // Pages of two.
            ("GET", page) => {
                let after = page.split_once("&after=").map_or("", |(_, after)| after);
                let rest: Vec<_> = self.keys.iter().filter(|(id, _)| id.as_str() > after).collect();
                let one = |(id, (text, name)): &(&String, &(String, String))| {
                    let shown = format!("{}...{}", &text[..9], &text[text.len() - 4..]);
                    json!({"id": id, "name": name, "redacted_value": shown})
                };
                let data: Vec<_> = rest.iter().take(2).map(one).collect();
                let last = rest.iter().take(2).next_back().map(|(id, _)| (*id).clone());
                let more = rest.len() > 2;
                (200, json!({"data": data, "has_more": more, "last_id": last}).to_string())
            }
            ("POST", "") if self.odd.is_some() => (200, self.odd.unwrap().to_owned()),
            ("POST", "") => {
                self.made += 1;
                let (id, text) =
                    (format!("key_{:03}", self.made), format!("sk-admin-canary-{:04}", self.made));
                let name = asked.json()["name"].as_str().unwrap().to_owned();
                self.keys.insert(id.clone(), (text.clone(), name));
                if std::mem::take(&mut self.lost) {
                    return (502, String::new());
                }
                (200, json!({"id": id, "value": text}).to_string())
            }
            ("DELETE", id) => {
                let removed = self.keys.remove(id.trim_start_matches('/')).is_some();
                (if removed { 200 } else { 404 }, "{}".to_owned())
            }
            _ => (405, String::new()),
        }
    }
}

struct OpenAied {
    organization: Arc<Mutex<Organization>>,
    site: Site,
    _stub: Stub,
}

async fn openaied(actor: Actor) -> OpenAied {
    let organization = Arc::<Mutex<Organization>>::default();
    for (id, key) in [("key_000", FIRST), ("key_", KEEPER)] {
        let entry = (key.to_owned(), "by hand".to_owned());
        organization.lock().unwrap().keys.insert(id.to_owned(), entry);
    }
    let kept = organization.clone();
    let stub = Stub::new(move |asked: &Question| kept.lock().unwrap().answer(asked)).await;
    let url = format!("{}/v1", stub.url);
    let target = target_of("openai", &[("api-key", KEEPER), ("openai-url", &url)]);
    let mut site = Site::new(&MEMBER, target, actor);
    site.limit(Duration::from_secs(60));
    OpenAied { organization, site, _stub: stub }
}

impl OpenAied {
    async fn next(&self, old: &Credential) -> Result<Credential, Fault> {
        Ok(MEMBER.obtained(&self.site.stage(), old).await?.expect("OpenAI makes them"))
    }

    async fn brought(&self, (old, new): (&Credential, &Credential), resumed: bool) -> Brought {
        let change = Change { old, new, resumed, beside: false };
        bring_about(&MEMBER, &self.site.stage(), &change, || Ok(())).await
    }

    fn ids(&self) -> Vec<String> {
        self.organization.lock().unwrap().keys.keys().cloned().collect()
    }
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one() {
    for actor in [Actor::Owner, Actor::Target] {
        let mut openai = openaied(actor).await;
        openai.site.check().unwrap();
        // Nobody said which id it has.
        let mut old = credential("", FIRST);
        for round in 1..=3 {
            let new = openai.next(&old).await.unwrap();
            assert!(openai.site.signs_in(&old).await && openai.site.signs_in(&new).await);
            assert!(!openai.site.signs_in(&openai.site.next(&new)).await);
            for resumed in [false, true] {
                let brought = openai.brought((&old, &new), resumed).await;
                assert!(matches!(brought, Brought::Changed(_)), "{round}: {brought:?}");
                assert!(!openai.site.signs_in(&old).await && openai.site.signs_in(&new).await);
                assert_eq!(openai.ids(), ["key_", new.username().unwrap()], "{round}");
            }
            if round == 3 {
                // It waits for most of its time whether it comes.
                openai.site.limit(Duration::from_secs(10));
                let back = openai.brought((&new, &old), false).await;
                assert!(matches!(back, Brought::Unchanged(_)), "what is gone stays so: {back:?}");
            }
            old = new;
        }
    }
}

#[tokio::test]
async fn keys_that_nobody_heard_of_go_and_late_ones_are_waited_for() {
    let mut openai = openaied(Actor::Target).await;
    openai.site.limit(Duration::from_secs(10));
    let old = credential("key_000", FIRST);
    openai.organization.lock().unwrap().lost = true;
    let lost = openai.next(&old).await.err().unwrap();
    assert_eq!(lost.kind(), FaultKind::Unavailable, "{lost}");
    assert_eq!(openai.ids(), ["key_", "key_000", "key_001"]);
    let new = openai.next(&old).await.unwrap();
    assert_eq!(openai.ids(), ["key_", "key_000", "key_002"]);
    openai.organization.lock().unwrap().lag = usize::MAX;
    let brought = openai.brought((&old, &new), false).await;
    let Brought::Unknown(late) = brought else { panic!("{brought:?}") };
    assert!(late.public().contains("everywhere"), "{late}");
    assert_eq!(openai.ids(), ["key_", "key_000", "key_002"], "the old one stays");
    openai.organization.lock().unwrap().lag = 0;
    let brought = openai.brought((&old, &new), true).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(openai.ids(), ["key_", "key_002"]);
    let twin = ("sk-admin-twin-0002".to_owned(), String::new());
    openai.organization.lock().unwrap().keys.insert("key_500".to_owned(), twin);
    let unclear = credential("", new.password().unwrap().expose());
    let unclear = openai.next(&unclear).await.err().unwrap();
    assert_eq!(unclear.kind(), FaultKind::Conflict, "{unclear}");
    let missing = openai.next(&credential("key_777", FIRST)).await.err().unwrap();
    assert_eq!(missing.kind(), FaultKind::Conflict, "{missing}");
    let projects = credential("", PROJECTS);
    let not_admin = MEMBER.signs_in(&openai.site.stage(), &projects).await.unwrap_err();
    assert_eq!(not_admin.kind(), FaultKind::BadRequest, "{not_admin}");
    for fault in [lost, late, unclear, missing, not_admin] {
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_key() {
    let openai = openaied(Actor::Target).await;
    for odd in ["[]", "\"a\"", "7", "null", "{\"id\": \"a\", \"value\": []}"] {
        openai.organization.lock().unwrap().odd = Some(odd);
        let fault = openai.next(&credential("key_000", FIRST)).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{odd}: {fault}");
    }
}

#[tokio::test]
async fn an_id_of_somebody_elses_key_is_not_believed() {
    let openai = openaied(Actor::Target).await;
    let wrong = credential("key_", FIRST);
    let fault = openai.next(&wrong).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
    assert!(fault.public().contains("api-key-id"), "{fault}");
    assert_eq!(openai.ids(), ["key_", "key_000"]);
    let new = openai.next(&credential("key_000", FIRST)).await.unwrap();
    let brought = openai.brought((&wrong, &new), false).await;
    assert!(!matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(openai.ids(), ["key_", "key_000", "key_001"]);
}

#[tokio::test]
async fn a_targets_own_key_and_what_makes_no_sense() {
    let site = openaied(Actor::Owner).await.site;
    let own = MEMBER.of_target(&site.stage().target).unwrap();
    assert_eq!(own.members(), credential("", KEEPER).members());
    let url = site.target.text(&Field::text("openai-url", "")).unwrap();
    let with_id = [("api-key", KEEPER), ("api-key-id", "key_9"), ("openai-url", url)];
    let with_id = target_of("openai", &with_id);
    let with_id = TargetUse { type_name: "openai", settings: &with_id };
    for (id, key, by_text, by_id) in [
        ("", KEEPER, true, true),
        ("key_000", KEEPER, true, true),
        ("key_9", FIRST, false, true),
        ("", FIRST, false, false),
    ] {
        let given = credential(id, key);
        let is = (MEMBER.is_keepers(&site.stage().target, &given), by_text);
        assert_eq!(is.0, is.1, "{id}");
        assert_eq!(MEMBER.is_keepers(&with_id, &given), by_id, "{id}");
    }
    let refused = |given: &[(&'static str, &str)]| {
        let mut args = Args::new();
        given.iter().for_each(|(name, value)| args.put(name, (*value).into()));
        MEMBER.first(&args).err().unwrap().public().to_owned()
    };
    assert!(refused(&[]).contains("api-key"));
    assert!(refused(&[("api-key", "a b")]).contains("api-key"));
    assert!(refused(&[("api-key", "a"), ("api-key-id", "../x")]).contains("api-key-id"));
    let mut args = Args::new();
    args.put("api-key", "sk-admin-other".into());
    let old = credential("key_000", FIRST);
    assert_eq!(MEMBER.corrected(&args, &old).unwrap().username().unwrap(), "");
    let short = Site::with(&MEMBER, site.target, Actor::Owner, &[("password-length", "1")]);
    assert!(short.check().unwrap_err().public().contains("password-length"));
}
