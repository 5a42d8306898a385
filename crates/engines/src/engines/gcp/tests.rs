//! Against a stand-in for Google's services.

use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::Way;
use crate::member::NOT_REACHED;
use crate::testing::google::{World, google as stand_in, key};
use crate::testing::{Caller, settings, target_of, way};

const REPORTS: &str = "reports@own-project.iam.gserviceaccount.com";
const ROLES: &str = "{\"//cloudresourcemanager.googleapis.com/projects/own-project\": \
                     [\"roles/storage.objectViewer\", \"roles/run.invoker\"]}";

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(url: &str, given: &[(&'static str, &str)]) -> Self {
        let mut way = way();
        way.endpoints.google = Some(url.to_owned());
        let target = target_of("gcp", &[("gcp-key", &key(true))]);
        Self { settings: settings(&GoogleCloud, given), target, way }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "gcp", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        GoogleCloud.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self, claims: &[(&str, &str)]) -> Result<Plan, Fault> {
        GoogleCloud.plan(&self.scene(), &Caller::with(claims).wish())
    }

    async fn made(&self, plan: &Plan) -> Result<Created, Fault> {
        GoogleCloud.create(&self.scene(), plan).await
    }

    async fn removed(&self, handle: &str) -> Result<Vec<String>, Fault> {
        GoogleCloud.revoke(&self.scene(), handle).await
    }
}

#[tokio::test]
async fn tokens_and_keys_are_of_the_account_that_is_named() {
    let world = Arc::<Mutex<World>>::default();
    let stub = stand_in(world.clone()).await;
    let stage = Stage::new(&stub.url, &[("gcp-sa-email", REPORTS)]);
    assert!(stage.check().unwrap().is_empty());
    target_by_name("gcp").unwrap().probe(&stage.target, &stage.way).await.unwrap();
    let plan = stage.plan(&[]).unwrap();
    let made = stage.made(&plan).await.unwrap();
    assert_eq!(made.value["token"], format!("canary-of-{REPORTS}"));
    assert_eq!(made.value["expire_time"], "2026-01-05T10:41:12Z");
    assert_eq!(made.ends.map(|ends| ends.rfc3339()).as_deref(), Some("2026-01-05T10:41:12Z"));
    assert!(stage.removed(&plan.handle).await.unwrap()[0].contains("its own time"));
    let own = Stage::new(&stub.url, &[("gcp-token-scopes", "a.example/x, b.example/y")]);
    let made = own.made(&own.plan(&[]).unwrap()).await.unwrap();
    assert_eq!(made.value["token"], "canary-lent");
    let scope = world.lock().unwrap().claims.last().unwrap()["scope"].clone();
    assert_eq!(scope, "a.example/x b.example/y");
    // Keys are found again by what Google calls them.
    let keys = Stage::new(&stub.url, &[("gcp-sa-email", REPORTS), ("gcp-cred-type", "key")]);
    keys.check().unwrap();
    let plan = keys.plan(&[]).unwrap();
    let (mut one, two) = (keys.made(&plan).await.unwrap(), keys.made(&plan).await.unwrap());
    assert_eq!(one.value["encoded_key"], "Y2FuYXJ5");
    let handle = one.handle.take().unwrap();
    assert_ne!(Some(&handle), two.handle.as_ref());
    assert!(keys.removed(&plan.handle).await.unwrap()[0].contains("nobody heard of"));
    for _ in 0..2 {
        assert!(stage.removed(&handle).await.unwrap().is_empty());
        assert_eq!(world.lock().unwrap().keys.len(), 1);
    }
    let nobody = "nobody@own-project.iam.gserviceaccount.com";
    let nobody = Stage::new(&stub.url, &[("gcp-sa-email", nobody)]);
    let fault = nobody.made(&nobody.plan(&[]).unwrap()).await.err().unwrap();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, NOT_REACHED));
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[tokio::test]
async fn accounts_are_made_with_their_roles_and_removed_with_them() {
    for (credential, member) in [("token", "token"), ("key", "encoded_key")] {
        let world = Arc::<Mutex<World>>::default();
        let lasting = json!({"role": "roles/owner", "members": ["user:boss@acme.example"]});
        world.lock().unwrap().bindings.push(lasting.clone());
        // Somebody else changes the policy meanwhile.
        world.lock().unwrap().others = 2;
        let stub = stand_in(world.clone()).await;
        let given = [
            ("service-account-type", "dynamic"),
            ("gcp-cred-type", credential),
            ("role-binding", ROLES),
        ];
        let stage = Stage::new(&stub.url, &given);
        assert!(stage.check().unwrap().is_empty());
        let (plan, other) = (stage.plan(&[]).unwrap(), stage.plan(&[]).unwrap());
        let made = stage.made(&plan).await.unwrap();
        assert!(made.value[member].is_string() && made.handle.is_none());
        let user = made.value["user"].as_str().unwrap();
        stage.made(&other).await.unwrap();
        {
            let world = world.lock().unwrap();
            assert!(world.accounts.contains(user));
            assert_eq!(world.bindings.len(), 5);
            let own = &world.bindings[1];
            assert_eq!(own["members"], json!([format!("serviceAccount:{user}")]));
            let until = "request.time < timestamp(\"2026-01-06T11:11:12Z\")";
            assert_eq!(own["condition"]["expression"], until);
        }
        for _ in 0..2 {
            assert!(stage.removed(&plan.handle).await.unwrap().is_empty());
            assert_eq!(world.lock().unwrap().bindings.len(), 3);
            assert_eq!(world.lock().unwrap().accounts.len(), 1);
        }
        stage.removed(&other.handle).await.unwrap();
        assert_eq!(world.lock().unwrap().bindings, [lasting]);
    }
}

#[tokio::test]
async fn people_get_roles_for_a_while() {
    let world = Arc::<Mutex<World>>::default();
    let stub = stand_in(world.clone()).await;
    let given = [("access-type", "external"), ("role-names", "roles/run.invoker, roles/run.admin")];
    let stage = Stage::new(&stub.url, &given);
    assert_eq!(stage.check().unwrap().len(), 1);
    let plan = stage.plan(&[("ext_email", "ann@acme.example")]).unwrap();
    let made = stage.made(&plan).await.unwrap();
    assert_eq!(made.value["user"], "ann@acme.example");
    assert_eq!(world.lock().unwrap().bindings[0]["members"], json!(["user:ann@acme.example"]));
    assert_eq!(world.lock().unwrap().bindings.len(), 2);
    for _ in 0..2 {
        assert!(stage.removed(&plan.handle).await.unwrap().is_empty());
        assert!(world.lock().unwrap().bindings.is_empty());
    }
    // What is no policy is not written back, whatever it would replace.
    let lasting = json!({"role": "roles/owner", "members": ["user:boss@acme.example"]});
    world.lock().unwrap().bindings.push(lasting.clone());
    world.lock().unwrap().no_policy = true;
    let fault = stage.made(&plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
    assert!(stage.removed(&plan.handle).await.is_err());
    assert_eq!(world.lock().unwrap().bindings, [lasting]);
    world.lock().unwrap().no_policy = false;
    for claims in [&[][..], &[("ext_email", "ann")], &[("ext_email", "a b@acme.example")]] {
        assert_eq!(stage.plan(claims).err().unwrap().kind(), FaultKind::BadRequest);
    }
    for handle in ["", "other", "x.aaaaaaaaaaaaaaaa"] {
        assert!(stage.removed(handle).await.is_err(), "{handle}");
    }
    // A policy that never stays the same is not written over.
    world.lock().unwrap().others = 100;
    let fault = stage.made(&plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| Stage::new("https://x.example", given).check();
    let dynamic = ("service-account-type", "dynamic");
    let roles = |text: &'static str| [dynamic, ("role-binding", text)];
    for (given, named) in [
        (&[("access-type", "all")][..], "access-type"),
        (&[("gcp-cred-type", "x")], "gcp-cred-type"),
        (&[("gcp-sa-email", "../keys")], "gcp-sa-email"),
        (&[("gcp-key-algo", "x")], "gcp-key-algo"),
        (&[("user-ttl", "13h")], "user-ttl"),
        (&[dynamic], "role-binding"),
        (&[dynamic, ("gcp-project-id", "a/b")], "gcp-project-id"),
        (&roles("x"), "role-binding"),
        (&roles("{\"projects/a/b\": [\"roles/x\"]}"), "role-binding"),
        (&roles("{\"projects/own-project\": []}"), "role-binding"),
        (&roles("{\"projects/own-project\": [\"roles/owner\"]}"), "owner"),
        (&roles("{\"projects/own-project\": [\"x\"]}"), "role-binding"),
        (&[("access-type", "external")], "role-binding"),
        (&[("access-type", "external"), ("role-names", ",")], "role-names"),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
}
