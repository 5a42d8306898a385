//! Against a stand-in for Azure's services, which lends tokens for the secrets and passwords that
//! it has, as Microsoft's identity platform does, and keeps them as Graph and the storage resource
//! provider do: https://learn.microsoft.com/graph/api/application-addpassword, user-update,
//! user-changepassword, https://learn.microsoft.com/rest/api/storagerp/storage-accounts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::FaultKind;
use serde_json::json;

use super::*;
use crate::rotator::{Brought, Change, Rotator as _, bring_about, remove};
use crate::testing::rotation::{Site, credential};
use crate::testing::stub::{Asked, Stub};
use crate::testing::{target_of, way};

const KEEPER: &str = "11111111-2222-3333-4444-555555555555";
const APP: &str = "aaaaaaaa-2222-3333-4444-555555555555";
const ANN: &str = "ann@acme.example";

/// What the tenant has.
struct Tenant {
    /// Secrets of the application: ids with texts and labels.
    secrets: BTreeMap<String, (String, String)>,
    password: String,
    /// Whether people have to show more than a password.
    second_factor: bool,
    keys: [String; 2],
    /// How often what was made is not known yet.
    lag: usize,
    /// What is answered instead, in place of what was asked for.
    odd: Option<&'static str>,
    /// Whether the next answer that has made something gets lost.
    lost: bool,
    made: usize,
}

fn id(number: usize) -> String {
    format!("bbbbbbbb-2222-3333-4444-{number:012}")
}

fn field(asked: &Asked, name: &str) -> String {
    let part = asked.body.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
    let (mut bytes, mut rest) = (Vec::new(), part.unwrap_or_default().bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

impl Tenant {
    fn token(&mut self, asked: &Asked) -> (u16, String) {
        let refused = |status: u16, code: &str, number: u32| {
            let said = json!({
                "error": code, "error_codes": [number], "error_description": asked.body,
            });
            (status, said.to_string())
        };
        let (client, secret) = (field(asked, "client_id"), field(asked, "client_secret"));
        let newest = self.secrets.keys().next_back().cloned();
        let known = self.secrets.iter().find(|(_, (text, _))| *text == secret);
        let right = match (client.as_str(), known) {
            (KEEPER, _) => secret == "canary-keeper",
            (APP, Some((there, _))) if self.lag > 0 && Some(there) == newest.as_ref() => {
                self.lag -= 1;
                false
            }
            (APP, known) => known.is_some(),
            _ => false,
        };
        if !right {
            return refused(401, "invalid_client", 7_000_215);
        }
        let scope = field(asked, "scope");
        assert!(scope.ends_with("/.default"), "{scope}");
        if field(asked, "grant_type") == "client_credentials" {
            let token = format!("{client} {scope}").replace([' ', '/'], ".");
            return (200, json!({"access_token": token, "expires_in": 3599}).to_string());
        }
        assert_eq!(field(asked, "grant_type"), "password");
        match (field(asked, "username") == ANN, field(asked, "password") == self.password) {
            (true, true) if self.second_factor => refused(400, "invalid_grant", 50_076),
            (true, true) => (200, json!({"access_token": "ann", "expires_in": 3599}).to_string()),
            (false, _) => refused(400, "invalid_grant", 50_034),
            _ => refused(400, "invalid_grant", 50_126),
        }
    }

    fn graph(&mut self, method: &str, path: &[&str], asked: &Asked) -> (u16, String) {
        let by = asked.header("authorization").unwrap().to_owned();
        let of_app = format!("applications(appId='{APP}')");
        match (method, path) {
            ("GET", [app]) if *app == of_app => {
                let one = |(id, (text, label)): (&String, &(String, String))| {
                    json!({
                        "keyId": id, "displayName": label, "hint": &text[..3], "secretText": null,
                    })
                };
                let all: Vec<_> = self.secrets.iter().map(one).collect();
                (200, json!({"passwordCredentials": all}).to_string())
            }
            ("POST", [app, "addPassword"]) if *app == of_app => {
                self.made += 1;
                let (id, text) = (id(self.made), format!("{:03}~canary-secret", self.made));
                let label =
                    asked.json()["passwordCredential"]["displayName"].as_str().unwrap().to_owned();
                self.secrets.insert(id.clone(), (text.clone(), label));
                if std::mem::take(&mut self.lost) {
                    return (504, String::new());
                }
                (200, json!({"keyId": id, "secretText": text}).to_string())
            }
            ("POST", [app, "removePassword"]) if *app == of_app => {
                let removed = self.secrets.remove(asked.json()["keyId"].as_str().unwrap());
                (if removed.is_some() { 204 } else { 400 }, String::new())
            }
            ("PATCH", ["users", ANN]) => {
                assert!(by.contains(KEEPER), "{by}");
                let profile = &asked.json()["passwordProfile"];
                assert_eq!(profile["forceChangePasswordNextSignIn"], false);
                self.password = profile["password"].as_str().unwrap().to_owned();
                (if std::mem::take(&mut self.lost) { 504 } else { 204 }, String::new())
            }
            ("POST", ["me", "changePassword"]) if by == "Bearer ann" => {
                let given = asked.json();
                if given["currentPassword"] != self.password.as_str() {
                    return (400, asked.body.clone());
                }
                self.password = given["newPassword"].as_str().unwrap().to_owned();
                (204, String::new())
            }
            _ => (404, asked.body.clone()),
        }
    }

    fn storage(&mut self, what: &str, asked: &Asked) -> (u16, String) {
        assert!(asked.header("authorization").unwrap().contains("management.azure.com"));
        if what == "regenerateKey?api-version=2023-01-01" {
            self.made += 1;
            let place = usize::from(asked.json()["keyName"] == "key2");
            self.keys[place] = format!("canary{:04}==", self.made);
            if std::mem::take(&mut self.lost) {
                return (504, String::new());
            }
        } else {
            assert_eq!(what, "listKeys?api-version=2023-01-01");
        }
        let one = |place: usize| {
            json!({
                "keyName": format!("key{}", place + 1), "value": self.keys[place],
                "permissions": "FULL",
            })
        };
        (200, json!({"keys": [one(0), one(1)]}).to_string())
    }
}

struct Azured {
    tenant: Arc<Mutex<Tenant>>,
    site: Site,
    _stub: Stub,
}

const TARGET: [(&str, &str); 5] = [
    ("tenant-id", "acme.example"),
    ("client-id", KEEPER),
    ("client-secret", "canary-keeper"),
    ("subscription-id", "cccccccc-2222-3333-4444-555555555555"),
    ("resource-group-name", "rg"),
];

async fn azured(actor: Actor) -> Azured {
    let secrets = BTreeMap::from([
        (id(0), ("old~canary-secret".to_owned(), "by hand".to_owned())),
        (id(900), ("oth~canary-others".to_owned(), "somebody's".to_owned())),
    ]);
    let tenant = Arc::new(Mutex::new(Tenant {
        secrets,
        password: "canary-ann1".to_owned(),
        second_factor: false,
        keys: ["canaryone==".to_owned(), "canarytwo==".to_owned()],
        lag: 0,
        odd: None,
        lost: false,
        made: 0,
    }));
    let kept = tenant.clone();
    let stub = Stub::new(move |asked: &Asked| {
        let mut tenant = kept.lock().unwrap();
        let (method, path) = asked.line.split_once(" /").unwrap();
        let path: Vec<_> = path.split('/').collect();
        match path.as_slice() {
            ["login.microsoftonline.com", "acme.example", "oauth2", "v2.0", "token"] => {
                tenant.token(asked)
            }
            _ if tenant.odd.is_some() && method == "POST" => (200, tenant.odd.unwrap().to_owned()),
            ["graph.microsoft.com", "v1.0", rest @ ..] => tenant.graph(method, rest, asked),
            [
                "management.azure.com",
                "subscriptions",
                _,
                "resourceGroups",
                "rg",
                "providers",
                "Microsoft.Storage",
                "storageAccounts",
                "data",
                what,
            ] => tenant.storage(what, asked),
            _ => (404, String::new()),
        }
    })
    .await;
    let mut way = way();
    way.endpoints.azure = Some(stub.url.clone());
    let more = [("resource-name", "data")];
    let mut site = Site::with(&MEMBER, target_of("azure", &TARGET), actor, &more);
    site.endpoints(&way);
    site.limit(Duration::from_secs(60));
    Azured { tenant, site, _stub: stub }
}

fn secret(id: &str, text: &str) -> Credential {
    secrets::of_secret((id, text), APP).unwrap()
}

impl Azured {
    async fn next(&self, old: &Credential) -> Result<Credential, Fault> {
        let made = MEMBER.obtained(&self.site.stage(), old).await?;
        Ok(made.unwrap_or_else(|| self.site.next(old)))
    }

    async fn brought(
        &self,
        (old, new): (&Credential, &Credential),
        (resumed, beside): (bool, bool),
    ) -> Brought {
        let change = Change { old, new, resumed, beside };
        bring_about(&MEMBER, &self.site.stage(), &change, || Ok(())).await
    }

    fn ids(&self) -> Vec<String> {
        self.tenant.lock().unwrap().secrets.keys().cloned().collect()
    }
}

#[tokio::test]
async fn secrets_of_an_application_take_turns() {
    for actor in [Actor::Owner, Actor::Target] {
        let azured = azured(actor).await;
        azured.site.check().unwrap();
        // Nobody said which id it has.
        let mut old = secret("", "old~canary-secret");
        for round in 1..=2 {
            let new = azured.next(&old).await.unwrap();
            assert!(azured.site.signs_in(&old).await && azured.site.signs_in(&new).await);
            assert!(!azured.site.signs_in(&azured.site.next(&new)).await);
            for resumed in [false, true] {
                let brought = azured.brought((&old, &new), (resumed, false)).await;
                assert!(matches!(brought, Brought::Changed(_)), "{round}: {brought:?}");
                assert!(!azured.site.signs_in(&old).await && azured.site.signs_in(&new).await);
                assert_eq!(azured.ids(), [new.username().unwrap().to_owned(), id(900)]);
            }
            old = new;
        }
    }
}

#[tokio::test]
async fn secrets_that_nobody_heard_of_go_and_those_of_others_stay() {
    let mut azured = azured(Actor::Target).await;
    let old = secret(&id(0), "old~canary-secret");
    azured.tenant.lock().unwrap().lost = true;
    let lost = azured.next(&old).await.err().unwrap();
    assert_eq!(lost.kind(), FaultKind::Unavailable, "{lost}");
    assert_eq!(azured.ids(), [id(0), id(1), id(900)]);
    let new = azured.next(&old).await.unwrap();
    assert_eq!(azured.ids(), [id(0), id(2), id(900)], "the one that nobody heard of is gone");
    let brought = azured.brought((&old, &new), (false, true)).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(azured.ids().len(), 3, "the old one stays");
    let stage = azured.site.stage();
    let nobodys = azured.site.next(&new);
    remove(&MEMBER, &stage, (&nobodys, &old), || Ok(())).await.unwrap_err();
    assert_eq!(azured.ids().len(), 3);
    for _ in 0..2 {
        remove(&MEMBER, &stage, (&new, &old), || Ok(())).await.unwrap();
        assert_eq!(azured.ids(), [id(2), id(900)]);
    }
    // It is waited for most of this time.
    azured.site.limit(Duration::from_secs(10));
    let brought = azured.brought((&new, &old), (false, false)).await;
    assert!(matches!(brought, Brought::Unchanged(_)), "what is gone stays so: {brought:?}");
    // Two of which nobody can say which one it is.
    azured.tenant.lock().unwrap().secrets.insert(id(7), ("002~other".to_owned(), String::new()));
    let unclear = secret("", new.password().unwrap().expose());
    let fault = azured.next(&unclear).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
    for fault in [lost, fault] {
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_secret_that_begins_like_one_that_is_gone_stays() {
    let azured = azured(Actor::Target).await;
    let old = secret("", "old~canary-secret");
    let new = azured.next(&old).await.unwrap();
    let theirs = ("old~canary-theirs".to_owned(), String::new());
    {
        let mut tenant = azured.tenant.lock().unwrap();
        tenant.secrets.remove(&id(0));
        tenant.secrets.insert(id(901), theirs);
    }
    let all = [id(1), id(900), id(901)];
    // Nor is the current one ever what is removed, whoever made it.
    let given = secret("", "oth~canary-others");
    for (current, gone) in
        [(&new, old), (&new, secret("", "001~gone")), (&given, secret("", "oth~gone"))]
    {
        remove(&MEMBER, &azured.site.stage(), (current, &gone), || Ok(())).await.unwrap();
        assert_eq!(azured.ids(), all);
    }
}

#[tokio::test]
async fn an_id_of_somebody_elses_secret_is_not_believed() {
    for actor in [Actor::Owner, Actor::Target] {
        let azured = azured(actor).await;
        let all = azured.ids();
        let wrong = secret(&id(900), "old~canary-secret");
        let fault = azured.next(&wrong).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
        assert!(fault.public().contains("api-id"), "{fault}");
        assert_eq!((azured.ids(), azured.tenant.lock().unwrap().made), (all, 0));
        let new = azured.next(&secret("", "old~canary-secret")).await.unwrap();
        let all = azured.ids();
        let stage = azured.site.stage();
        let fault = remove(&MEMBER, &stage, (&new, &wrong), || Ok(())).await.unwrap_err();
        assert!(fault.public().contains("api-id"), "{fault}");
        assert_eq!(azured.ids(), all);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_known_everywhere_is_waited_for() {
    let mut azured = azured(Actor::Target).await;
    azured.tenant.lock().unwrap().secrets.remove(&id(900));
    azured.site.limit(Duration::from_secs(10));
    let old = secret(&id(0), "old~canary-secret");
    let new = azured.next(&old).await.unwrap();
    azured.tenant.lock().unwrap().lag = usize::MAX;
    let brought = azured.brought((&old, &new), (false, false)).await;
    let Brought::Unknown(fault) = brought else { panic!("{brought:?}") };
    assert!(fault.public().contains("everywhere"), "{fault}");
    assert_eq!(azured.ids().len(), 2);
    azured.tenant.lock().unwrap().lag = 1;
    let brought = azured.brought((&old, &new), (true, false)).await;
    assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
    assert_eq!(azured.ids(), [new.username().unwrap()]);
}

#[tokio::test]
async fn passwords_of_people_are_set_by_themselves_or_by_the_target() {
    for (actor, second_factor) in
        [(Actor::Owner, false), (Actor::Target, false), (Actor::Target, true)]
    {
        let azured = azured(actor).await;
        azured.tenant.lock().unwrap().second_factor = second_factor;
        let mut old = credential(ANN, "canary-ann1");
        for round in 1..=2 {
            let new = azured.next(&old).await.unwrap();
            assert!(azured.site.signs_in(&old).await && !azured.site.signs_in(&new).await);
            azured.tenant.lock().unwrap().lost = actor == Actor::Target;
            for resumed in [false, true] {
                let brought = azured.brought((&old, &new), (resumed, false)).await;
                assert!(matches!(brought, Brought::Changed(_)), "{round}: {brought:?}");
                assert!(!azured.site.signs_in(&old).await && azured.site.signs_in(&new).await);
            }
            old = new;
        }
        let (wrong, new) = (credential(ANN, "canary-wrong"), azured.site.next(&old));
        if actor == Actor::Owner {
            let brought = azured.brought((&wrong, &new), (false, false)).await;
            let Brought::Unchanged(fault) = brought else { panic!("{brought:?}") };
            assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        }
        // A target that does not sign in says nothing of people.
        let mut given = TARGET;
        given[2].1 = "canary-wrong";
        let mut site = Site::new(&MEMBER, target_of("azure", &given), actor);
        let mut way = way();
        way.endpoints.azure = Some(azured._stub.url.clone());
        site.endpoints(&way);
        let fault = MEMBER.signs_in(&site.stage(), &old).await.unwrap_err();
        assert!(fault.public().contains("of the target"), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn the_keys_of_a_storage_account_take_turns() {
    let mut azured = azured(Actor::Target).await;
    // What is gone is waited for most of this time.
    azured.site.limit(Duration::from_secs(10));
    let mut old = storage::of_key("key1", "canaryone==").unwrap();
    for name in ["key2", "key1"] {
        azured.tenant.lock().unwrap().lost = true;
        let lost = azured.next(&old).await.err().unwrap();
        assert_eq!(lost.kind(), FaultKind::Unavailable, "{lost}");
        let new = azured.next(&old).await.unwrap();
        assert_eq!(new.username().unwrap(), name);
        assert!(azured.site.signs_in(&old).await && azured.site.signs_in(&new).await);
        let brought = azured.brought((&old, &new), (false, true)).await;
        assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
        assert!(azured.site.signs_in(&old).await, "it stays for a while");
        let stage = azured.site.stage();
        for _ in 0..2 {
            remove(&MEMBER, &stage, (&new, &old), || Ok(())).await.unwrap();
            assert!(!azured.site.signs_in(&old).await && azured.site.signs_in(&new).await);
        }
        let brought = azured.brought((&new, &old), (false, false)).await;
        assert!(matches!(brought, Brought::Unchanged(_)), "{brought:?}");
        old = new;
    }
    let shown = MEMBER.shown(azured.site.stage().settings, &old);
    assert_eq!(shown.keys().collect::<Vec<_>>(), ["password", "username"]);
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_secret() {
    let azured = azured(Actor::Target).await;
    let key = storage::of_key("key1", "canaryone==").unwrap();
    for odd in ["[]", "\"a\"", "7", "null", "{\"keys\": [[], 7]}", "{\"keyId\": \"a\"}"] {
        azured.tenant.lock().unwrap().odd = Some(odd);
        for old in [&secret("", "old~canary-secret"), &key] {
            let fault = azured.next(old).await.err().unwrap();
            assert_eq!(fault.kind(), FaultKind::Unavailable, "{odd}: {fault}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refused = |given: &[(&'static str, &str)]| {
        let mut args = Args::new();
        given.iter().for_each(|(name, value)| args.put(name, (*value).into()));
        let fault = MEMBER.first(&args).err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        fault.public().to_owned()
    };
    let key = ("rotator-type", "api-key");
    assert!(refused(&[key]).contains("api-key"));
    assert!(refused(&[key, ("api-key", "x")]).contains("application-id"));
    assert!(
        refused(&[key, ("api-key", "x"), ("application-id", "a/b")]).contains("application-id")
    );
    let bad = [key, ("api-key", "x"), ("application-id", APP), ("api-id", "')/x")];
    assert!(refused(&bad).contains("api-id"));
    let person = ("rotator-type", "password");
    assert!(refused(&[person, ("password", "x"), ("username", "a/@b")]).contains("username"));
    let storage = ("rotator-type", "azure-storage-account");
    assert!(refused(&[storage]).contains("storage-account-key-name"));
    let bad = [storage, ("storage-account-key-name", "kerb1"), ("api-key", "x")];
    assert!(refused(&bad).contains("key1 or key2"));
    for (field, value) in [("resource-name", "a/b"), ("password-length", "1")] {
        let target = target_of("azure", &TARGET);
        let site = Site::with(&MEMBER, target, Actor::Target, &[(field, value)]);
        assert!(site.check().unwrap_err().public().contains(field));
    }
    let site = Site::new(&MEMBER, target_of("azure", &TARGET), Actor::Owner);
    let own = MEMBER.of_target(&site.stage().target).unwrap();
    assert_eq!(own.text(APPLICATION_ID).unwrap(), KEEPER);
    assert_eq!(own.password().unwrap().expose(), "canary-keeper");
    let target = site.stage().target;
    let of = |application: &str| secrets::of_secret(("", "any"), application).unwrap();
    let odd = KEEPER.replace('1', "a").to_uppercase();
    let lettered = target_of("azure", &[TARGET[0], ("client-id", &odd.to_lowercase()), TARGET[2]]);
    let lettered = TargetUse { type_name: "azure", settings: &lettered };
    assert!(MEMBER.is_keepers(&target, &of(KEEPER)) && !MEMBER.is_keepers(&target, &of(APP)));
    assert!(MEMBER.is_keepers(&lettered, &of(&odd)));
    assert!(!MEMBER.is_keepers(&target, &credential(ANN, "canary-keeper")));
    let old = secret(&id(0), "old~canary-secret");
    let mut args = Args::new();
    args.put("api-key", "another".into());
    let corrected = MEMBER.corrected(&args, &old).unwrap();
    assert_eq!((corrected.username().unwrap(), corrected.text(APPLICATION_ID).unwrap()), ("", APP));
}
