//! Against a stand-in that lends tokens as Microsoft's identity platform does, and keeps secrets,
//! users and members as Graph does: https://learn.microsoft.com/graph/api/application-addpassword,
//! user-post-users, group-post-members, directoryrole-post-members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::member::{NOT_LET_IN, NOT_REACHED};
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};

const APP: &str = "11111111-2222-3333-4444-555555555555";
const IN_GROUP: &str = "aaaaaaaa-2222-3333-4444-555555555555";
const IN_ROLE: &str = "bbbbbbbb-2222-3333-4444-555555555555";
const CLIENT_SECRET_TEXT: &str = "canary-client-secret";

/// What the tenant has.
#[derive(Default)]
struct Tenant {
    /// Secrets of the application by their ids.
    secrets: BTreeMap<String, String>,
    /// Users by their ids.
    users: BTreeMap<String, String>,
    /// What users are in.
    members: BTreeSet<(String, String)>,
}

impl Tenant {
    fn graph(&mut self, method: &str, path: &[&str], asked: &Asked) -> (u16, String) {
        let missing = (404, json!({"error": {"code": "Request_ResourceNotFound"}}).to_string());
        match (method, path) {
            ("POST", ["applications", APP, "addPassword"]) => {
                let given = &asked.json()["passwordCredential"];
                assert_eq!(given["endDateTime"], "2026-01-06T11:11:12Z");
                let id = format!("key-{}", self.secrets.len());
                let name = given["displayName"].as_str().unwrap().to_owned();
                self.secrets.insert(id.clone(), name);
                let made = json!({
                    "@odata.context": "x", "keyId": id, "secretText": "canary-secret",
                    "displayName": given["displayName"], "endDateTime": given["endDateTime"],
                });
                (200, made.to_string())
            }
            ("GET", ["applications", APP]) => {
                let one =
                    |(id, name): (&String, &String)| json!({"keyId": id, "displayName": name});
                let all: Vec<_> = self.secrets.iter().map(one).collect();
                (200, json!({"passwordCredentials": all}).to_string())
            }
            ("POST", ["applications", APP, "removePassword"]) => {
                self.secrets.remove(asked.json()["keyId"].as_str().unwrap());
                (204, String::new())
            }
            ("POST", ["users"]) => {
                let given = asked.json();
                assert_eq!(given["accountEnabled"], true);
                assert!(given["passwordProfile"]["password"].as_str().unwrap().len() >= 8);
                let name = given["userPrincipalName"].as_str().unwrap().to_owned();
                assert!(name.find('@').unwrap() <= 64, "{name}");
                self.users.insert("id-made".to_owned(), name.clone());
                (201, json!({"id": "id-made", "userPrincipalName": name}).to_string())
            }
            ("GET", ["users", name]) => {
                let found = self.users.iter().find(|(_, there)| there == name);
                found.map_or(missing, |(id, _)| (200, json!({"id": id}).to_string()))
            }
            ("DELETE", ["users", name]) => {
                let before = self.users.len();
                self.users.retain(|_, there| there != name);
                if self.users.len() < before { (204, String::new()) } else { missing }
            }
            ("POST", ["groups" | "directoryRoles", place, "members", "$ref"]) => {
                let object = asked.json()["@odata.id"].as_str().unwrap().to_owned();
                let begin = "https://graph.microsoft.com/v1.0/directoryObjects/";
                let id = object.strip_prefix(begin).unwrap().to_owned();
                if self.members.insert(((*place).to_owned(), id)) {
                    return (204, String::new());
                }
                let message = "One or more added object references already exist for the following \
                               modified properties: 'members'.";
                let error = json!({"code": "Request_BadRequest", "message": message});
                (400, json!({"error": error}).to_string())
            }
            ("DELETE", ["groups" | "directoryRoles", place, "members", id, "$ref"]) => {
                let removed = self.members.remove(&((*place).to_owned(), (*id).to_owned()));
                if removed { (204, String::new()) } else { missing }
            }
            _ => missing,
        }
    }
}

async fn entra(tenant: Arc<Mutex<Tenant>>) -> Stub {
    Stub::new(move |asked: &Asked| {
        let (method, path) = asked.line.split_once(" /").unwrap();
        let path: Vec<_> = path.split('/').collect();
        match path.as_slice() {
            ["login.microsoftonline.com", "acme.example", "oauth2", "v2.0", "token"] => {
                let wanted = [
                    "grant_type=client_credentials",
                    "client_id=app",
                    "client_secret=canary-client-secret",
                    "scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
                ];
                if wanted.iter().all(|part| asked.body.split('&').any(|given| given == *part)) {
                    return (200, json!({"access_token": "lent", "expires_in": 3599}).to_string());
                }
                (
                    401,
                    json!({"error": "invalid_client", "error_description": asked.body}).to_string(),
                )
            }
            ["graph.microsoft.com", "v1.0", rest @ ..] => {
                assert_eq!(asked.header("authorization"), Some("Bearer lent"));
                tenant.lock().unwrap().graph(method, rest, asked)
            }
            _ => (404, String::new()),
        }
    })
    .await
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(url: &str, secret: &str, given: &[(&'static str, &str)]) -> Self {
        let target =
            [("tenant-id", "acme.example"), ("client-id", "app"), ("client-secret", secret)];
        let mut way = way();
        way.endpoints.azure = Some(url.to_owned());
        Self { settings: settings(&Entra, given), target: target_of("azure", &target), way }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "azure", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Entra.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self, claims: &[(&str, &str)]) -> Result<Plan, Fault> {
        Entra.plan(&self.scene(), &Caller::with(claims).wish())
    }
}

const USERS_GIVEN: [(&str, &str); 4] = [
    ("user-portal-access", "true"),
    ("user-principal-name", "keeper@acme.example"),
    ("user-group-obj-id", IN_GROUP),
    ("user-role-template-id", IN_ROLE),
];

#[tokio::test]
async fn secrets_of_an_application_are_made_and_removed() {
    let tenant = Arc::<Mutex<Tenant>>::default();
    tenant.lock().unwrap().secrets.insert("own".to_owned(), "somebody's".to_owned());
    let stub = entra(tenant.clone()).await;
    let stage = Stage::new(&stub.url, CLIENT_SECRET_TEXT, &[("app-obj-id", APP)]);
    assert!(stage.check().unwrap().is_empty());
    target_by_name("azure").unwrap().probe(&stage.target, &stage.way).await.unwrap();
    let plan = stage.plan(&[]).unwrap();
    let made = Entra.create(&stage.scene(), &plan).await.unwrap();
    assert_eq!(made.value["secret"]["secretText"], "canary-secret");
    assert_eq!(made.value["secret"]["keyId"], "key-1");
    assert!(made.value["secret"].get("@odata.context").is_none());
    for _ in 0..2 {
        assert!(Entra.revoke(&stage.scene(), &plan.handle).await.unwrap().is_empty());
        assert_eq!(tenant.lock().unwrap().secrets.len(), 1);
    }
}

#[tokio::test]
async fn users_are_made_with_their_places_and_removed() {
    let tenant = Arc::<Mutex<Tenant>>::default();
    let stub = entra(tenant.clone()).await;
    let stage = Stage::new(&stub.url, CLIENT_SECRET_TEXT, &USERS_GIVEN);
    assert!(stage.check().unwrap().is_empty());
    let plan = stage.plan(&[]).unwrap();
    let made = Entra.create(&stage.scene(), &plan).await.unwrap();
    assert_eq!(made.value["user"], format!("{}@acme.example", plan.handle));
    assert_eq!(made.value["password"], plan.password.expose().as_str());
    let role = format!("roleTemplateId={IN_ROLE}");
    for place in [IN_GROUP, &role] {
        let has = (place.to_owned(), "id-made".to_owned());
        assert!(tenant.lock().unwrap().members.contains(&has), "{place}");
    }
    // Settings that make something else now remove what was made before.
    let changed = [("app-obj-id", APP), ("user-principal-name", "acme.example")];
    let changed = Stage::new(&stub.url, CLIENT_SECRET_TEXT, &changed);
    for _ in 0..2 {
        assert!(Entra.revoke(&changed.scene(), &plan.handle).await.unwrap().is_empty());
        assert!(tenant.lock().unwrap().users.is_empty());
    }
}

#[tokio::test]
async fn people_get_a_place_for_a_while_and_keep_those_that_they_had() {
    for (field, id) in [("user-group-obj-id", IN_GROUP), ("user-role-template-id", IN_ROLE)] {
        let tenant = Arc::<Mutex<Tenant>>::default();
        tenant.lock().unwrap().users.insert("id-ann".to_owned(), "ann@acme.example".to_owned());
        let stub = entra(tenant.clone()).await;
        let given = [("fixed-user-only", "true"), (field, id), ("fixed-user-claim-keyname", "upn")];
        let stage = Stage::new(&stub.url, CLIENT_SECRET_TEXT, &given);
        stage.check().unwrap();
        let plan = stage.plan(&[("upn", "ann@acme.example")]).unwrap();
        let made = Entra.create(&stage.scene(), &plan).await.unwrap();
        assert_eq!(made.value["user"], "ann@acme.example");
        assert_eq!(tenant.lock().unwrap().members.len(), 1);
        // Who is in already is not taken out for it.
        let fault = Entra.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, NOT_REACHED));
        for _ in 0..2 {
            assert!(Entra.revoke(&stage.scene(), &plan.handle).await.unwrap().is_empty());
            assert!(tenant.lock().unwrap().members.is_empty());
        }
        // Nobody the tenant knows: nothing is done, and nothing is left to do.
        let plan = stage.plan(&[("upn", "bob@acme.example")]).unwrap();
        let fault = Entra.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!(fault.code(), NOT_REACHED, "{fault}");
        assert!(Entra.revoke(&stage.scene(), &plan.handle).await.unwrap().is_empty());
        for claims in [&[][..], &[("upn", "../users")], &[("upn", "a b")]] {
            assert_eq!(stage.plan(claims).err().unwrap().kind(), FaultKind::BadRequest);
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_said_to_be_wrong_and_told_nobody() {
    let stub = entra(Arc::default()).await;
    let stage = Stage::new(&stub.url, "canary-wrong", &[("app-obj-id", APP)]);
    let fault = Entra.create(&stage.scene(), &stage.plan(&[]).unwrap()).await.err().unwrap();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, NOT_LET_IN));
    let target = target_by_name("azure").unwrap();
    let fault = target.probe(&stage.target, &stage.way).await.unwrap_err();
    assert!(fault.public().contains("invalid_client"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    for handle in ["", "other", "tmp.x.aaaaaaaaaaaaaaaa", "place.group.x.y.aaaaaaaaaaaaaaaa"] {
        assert!(Entra.revoke(&stage.scene(), handle).await.is_err(), "{handle}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| {
        Stage::new("https://azure.example", CLIENT_SECRET_TEXT, given).check()
    };
    let portal = ("user-portal-access", "true");
    let fixed = ("fixed-user-only", "true");
    for (given, named) in [
        (&[][..], "app-obj-id"),
        (&[("app-obj-id", "../users")], "app-obj-id"),
        (&[portal], "user-principal-name"),
        (&[portal, ("user-principal-name", "acme")], "user-principal-name"),
        (&[portal, USERS_GIVEN[1], ("user-group-obj-id", "x")], "user-group-obj-id"),
        (&[fixed], "user-group-obj-id"),
        (&[fixed, USERS_GIVEN[2], USERS_GIVEN[3]], "user-role-template-id"),
        (&[("app-obj-id", APP), ("user-ttl", "x")], "user-ttl"),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
    let target = target_by_name("azure").unwrap();
    let plain = [("tenant-id", "t.example"), ("client-id", "app"), ("client-secret", "x")];
    for (field, value) in [
        ("tenant-id", "a/b"),
        ("tenant-id", ".."),
        ("client-id", "a b"),
        ("azure-cloud", "https://evil.example"),
        ("connection-type", "identity"),
        ("use-gw-cloud-identity", "true"),
    ] {
        let given: Vec<_> = plain.into_iter().chain([(field, value)]).collect();
        let fault = target.check(&target_of("azure", &given)).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
}
