//! Google methods against keys on this machine.

use keysherd_base::FaultKind;
use serde_json::{Value, json};

use super::*;
use crate::scene::{REFUSED, Scene};

fn settings(more: &Value) -> String {
    let mut settings = json!({
        "machines": false, "audience": "akeyless.io", "unique_identifier": null,
        "service_accounts": ["app@proj-1.iam.gserviceaccount.com"], "projects": [], "zones": [],
        "regions": [],
    });
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings.to_string()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://accounts.google.com", "aud": "akeyless.io", "sub": "1001",
        "email": "app@proj-1.iam.gserviceaccount.com", "email_verified": true,
        "exp": Scene::NOW + 600,
        "google": {"compute_engine": {
            "project_id": "proj-1", "zone": "europe-west1-b", "instance_name": "vm-1",
            "instance_id": "77",
        }},
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn accounts_projects_and_places_bind() {
    let scene = Scene::new("RS256");
    let any = json!([]);
    for (bounds, said, admitted) in [
        (json!({}), json!({}), true),
        (json!({}), json!({"iss": "accounts.google.com"}), true),
        (json!({}), json!({"iss": "http://accounts.google.com"}), false),
        (json!({}), json!({"iss": "https://accounts.google.com/"}), false),
        (json!({}), json!({"aud": "other.example"}), false),
        (json!({}), json!({"email_verified": false}), false),
        (json!({}), json!({"email_verified": "true"}), false),
        (json!({}), json!({"email": "app@proj-2.iam.gserviceaccount.com"}), false),
        (json!({"service_accounts": ["1001"]}), json!({"email": null}), true),
        (json!({"service_accounts": any, "projects": ["proj-1"]}), json!({}), true),
        (json!({"service_accounts": any, "projects": ["proj-2"]}), json!({}), false),
        (
            json!({"service_accounts": any, "projects": ["proj-1"]}),
            json!({"email": "x@proj-1.iam.gserviceaccount.com.evil.example"}),
            false,
        ),
        (
            json!({"service_accounts": any, "projects": ["proj-1"]}),
            json!({"email": "x@proj-1"}),
            false,
        ),
        (json!({"machines": true, "projects": ["proj-1"]}), json!({}), true),
        (json!({"machines": true, "projects": ["proj-2"]}), json!({}), false),
        (json!({"machines": true}), json!({"google": null}), false),
        (json!({"machines": true, "zones": ["europe-west1-b"]}), json!({}), true),
        (json!({"machines": true, "zones": ["europe-west1-c"]}), json!({}), false),
        (json!({"machines": true, "regions": ["europe-west1"]}), json!({}), true),
        (json!({"machines": true, "regions": ["europe-west"]}), json!({}), false),
        (
            json!({"machines": true, "service_accounts": any, "projects": ["proj-2"]}),
            json!({"email": "x@proj-2.iam.gserviceaccount.com"}),
            false,
        ),
    ] {
        let token = scene.sign(&claims(&said));
        let outcome = scene.login(&Gcp, &settings(&bounds), &token).await;
        let wanted = if admitted { Ok("1001".to_owned()) } else { REFUSED };
        assert_eq!(outcome, wanted, "{bounds} {said}");
    }
}

#[tokio::test]
async fn roles_see_the_machine() {
    let scene = Scene::new("RS256");
    let settings = settings(&json!({"machines": true}));
    let identity = scene.identity(&Gcp, &settings, &scene.sign(&claims(&json!({})))).await.unwrap();
    assert_eq!(identity.claims.values("google.compute_engine.zone"), ["europe-west1-b"]);
    assert_eq!(identity.claims.values("google.compute_engine.instance_name"), ["vm-1"]);
}

#[test]
fn methods_for_everybody_in_the_world_are_refused() {
    let any = json!([]);
    for bad in [
        json!({"service_accounts": any}),
        json!({"machines": true, "service_accounts": any, "zones": ["europe-west1-b"]}),
        json!({"zones": ["europe-west1-b"]}),
        json!({"regions": ["europe-west1"]}),
    ] {
        let fault = Gcp.check(&settings(&bad)).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{bad}");
    }
}
