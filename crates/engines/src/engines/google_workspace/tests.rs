//! Against a stand-in for Google's services.

use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;

use super::*;
use crate::Way;
use crate::member::NOT_REACHED;
use crate::testing::google::{World, google as stand_in, key};
use crate::testing::{Caller, settings, target_of, way};

const ADMIN_TEXT: &str = "boss@acme.example";
const IN_GROUP: [(&str, &str); 4] = [
    ("access-mode", "group"),
    ("admin-email", ADMIN_TEXT),
    ("group-email", "devs@acme.example"),
    ("group-role", "MANAGER"),
];
const IN_ROLE: [(&str, &str); 3] =
    [("access-mode", "role"), ("admin-email", ADMIN_TEXT), ("role-name", "Helpdesk")];

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
        Self { settings: settings(&Workspace, given), target, way }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "gcp", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Workspace.check(&self.settings, self.scene().target.as_ref())
    }

    fn plan(&self, person: &str) -> Result<Plan, Fault> {
        Workspace.plan(&self.scene(), &Caller::with(&[("ext_email", person)]).wish())
    }
}

#[tokio::test]
async fn people_get_it_for_a_while_and_keep_what_they_had() {
    for given in [&IN_GROUP[..], &IN_ROLE] {
        let world = Arc::<Mutex<World>>::default();
        let stub = stand_in(world.clone()).await;
        let stage = Stage::new(&stub.url, given);
        assert!(stage.check().unwrap().is_empty());
        let plan = stage.plan("ann@acme.example").unwrap();
        let mut made = Workspace.create(&stage.scene(), &plan).await.unwrap();
        assert_eq!(made.value["user"], "ann@acme.example");
        let handle = made.handle.take().unwrap_or_else(|| plan.handle.clone());
        {
            let world = world.lock().unwrap();
            let claims = world.claims.last().unwrap();
            assert_eq!(claims["sub"], ADMIN_TEXT);
            assert!(claims["scope"].as_str().unwrap().contains("/admin.directory."));
            assert_eq!(world.members.len(), 1);
        }
        // Who has it already keeps it.
        let fault = Workspace.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, NOT_REACHED));
        for _ in 0..2 {
            assert!(Workspace.revoke(&stage.scene(), &handle).await.unwrap().is_empty());
            assert!(world.lock().unwrap().members.is_empty());
        }
        for handle in ["", "other", "x.aaaaaaaaaaaaaaaa", "roleid.x.aaaaaaaaaaaaaaaa"] {
            assert!(Workspace.revoke(&stage.scene(), handle).await.is_err(), "{handle}");
        }
        for person in ["ann", "a b@acme.example", "../x@acme.example"] {
            assert_eq!(stage.plan(person).err().unwrap().kind(), FaultKind::BadRequest);
        }
    }
}

#[tokio::test]
async fn who_was_there_before_stays_though_nobody_hears_what_came_of_it() {
    let world = Arc::<Mutex<World>>::default();
    let stub = stand_in(world.clone()).await;
    let stage = Stage::new(&stub.url, &IN_GROUP);
    let plan = stage.plan("ann@acme.example").unwrap();
    world.lock().unwrap().fails = true;
    // Only who was not there before may have got in by this; the lease's end looks.
    let fault = Workspace.create(&stage.scene(), &plan).await.err().unwrap();
    assert_eq!((fault.kind(), fault.code() == NOT_REACHED), (FaultKind::Unavailable, false));
    assert_eq!(world.lock().unwrap().members.len(), 1);
    let fault = Workspace.create(&stage.scene(), &plan).await.err().unwrap();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, NOT_REACHED));
}

#[tokio::test]
async fn who_is_not_there_gets_nothing() {
    let stub = stand_in(Arc::default()).await;
    let stage = Stage::new(&stub.url, &IN_ROLE);
    let plan = stage.plan("bob@acme.example").unwrap();
    let fault = Workspace.create(&stage.scene(), &plan).await.err().unwrap();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::BadRequest, NOT_REACHED));
    let warned = Workspace.revoke(&stage.scene(), &plan.handle).await.unwrap();
    assert!(warned[0].contains("nobody heard of"), "{warned:?}");
    let other: Vec<_> = IN_ROLE[..2].iter().copied().chain([("role-name", "Root")]).collect();
    let stage = Stage::new(&stub.url, &other);
    let fault = Workspace.create(&stage.scene(), &stage.plan("ann@acme.example").unwrap()).await;
    assert!(fault.err().unwrap().public().contains("role-name"));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| Stage::new("https://x.example", given).check();
    for (given, named) in [
        (&[][..], "access-mode"),
        (&IN_GROUP[..1], "admin-email"),
        (&IN_GROUP[..2], "group-email"),
        (&IN_ROLE[..2], "role-name"),
        (&[("access-mode", "all"), IN_GROUP[1]], "access-mode"),
        (&[IN_GROUP[0], ("admin-email", "boss")], "admin-email"),
        (&[IN_GROUP[0], IN_GROUP[1], ("group-email", "a/b@acme.example")], "group-email"),
        (&[IN_GROUP[0], IN_GROUP[1], IN_GROUP[2], ("group-role", "GOD")], "group-role"),
        (&[IN_ROLE[0], IN_ROLE[1], IN_ROLE[2], ("role-scope", "ORG_UNIT")], "role-scope"),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
}
