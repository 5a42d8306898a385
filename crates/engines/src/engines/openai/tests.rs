//! Against a stand-in that keeps service accounts as OpenAI does:
//! https://platform.openai.com/docs/api-reference/project-service-accounts.

use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};
use crate::{Engine, Scene, TargetUse};

const KEY: &str = "canary-admin-key";

/// Accounts in their order, with their names.
type Accounts = Arc<Mutex<Vec<(String, String)>>>;

async fn service(accounts: Accounts) -> Stub {
    Stub::new(move |asked: &Asked| {
        if asked.header("authorization") != Some(&format!("Bearer {KEY}")) {
            return (401, json!({"error": {"message": "Incorrect API key canary"}}).to_string());
        }
        let mut accounts = accounts.lock().unwrap();
        let (method, path) = asked.line.split_once(" /v1/organization/projects").unwrap();
        if path == "?limit=1" {
            return (200, json!({"data": []}).to_string());
        }
        let rest = path.strip_prefix("/proj_reports/service_accounts").unwrap();
        if method == "POST" {
            let name = asked.json()["name"].as_str().unwrap().to_owned();
            let id = format!("svc-{}", accounts.len());
            accounts.push((id.clone(), name.clone()));
            let made = json!({"id": id, "name": name, "api_key": {"value": "canary-key"}});
            return (200, made.to_string());
        }
        if method == "DELETE" {
            let before = accounts.len();
            accounts.retain(|(id, _)| Some(id.as_str()) != rest.strip_prefix('/'));
            return (if accounts.len() < before { 200 } else { 404 }, "{}".to_owned());
        }
        let query = rest.strip_prefix("?limit=100").unwrap();
        let after = query.strip_prefix("&after=");
        let skipped =
            after.map_or(0, |after| accounts.iter().position(|(id, _)| id == after).unwrap() + 1);
        let part: Vec<_> = accounts.iter().skip(skipped).take(100).collect();
        let data: Vec<_> = part.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
        let last = part.last().map(|(id, _)| id);
        (200, json!({"data": data, "last_id": last, "has_more": data.len() == 100}).to_string())
    })
    .await
}

#[tokio::test]
async fn accounts_are_made_found_by_their_names_and_removed() {
    let accounts = Accounts::default();
    for number in 0..250 {
        accounts.lock().unwrap().push((format!("own-{number}"), format!("other{number}")));
    }
    let stub = service(accounts.clone()).await;
    let (url, way) = (format!("{}/v1", stub.url), way());
    let target = target_of("openai", &[("openai-url", &url), ("api-key", KEY)]);
    target_by_name("openai").unwrap().probe(&target, &way).await.unwrap();
    let own = settings(&MEMBER, &[("project-id", "proj_reports")]);
    let used = TargetUse { type_name: "openai", settings: &target };
    assert!(MEMBER.check(&own, Some(&used)).unwrap().is_empty());
    let scene = Scene { settings: &own, target: Some(used), way: &way };
    let plan = MEMBER.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    let made = MEMBER.create(&scene, &plan).await.unwrap();
    assert_eq!(made.value["api_key"], "canary-key");
    assert_eq!(accounts.lock().unwrap().len(), 251);
    for _ in 0..2 {
        assert!(MEMBER.revoke(&scene, &plan.handle).await.unwrap().is_empty());
        assert_eq!(accounts.lock().unwrap().len(), 250);
    }
    assert!(MEMBER.revoke(&scene, "other1").await.is_err());
    // A wrong key is nobody's to see.
    let wrong = target_of("openai", &[("openai-url", &url), ("api-key", "canary-wrong")]);
    let used = TargetUse { type_name: "openai", settings: &wrong };
    let scene = Scene { target: Some(used), ..scene };
    let fault = MEMBER.create(&scene, &plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let target = target_of("openai", &[("api-key", "x")]);
    let check = |given: &[(&'static str, &str)], target: Option<&Settings>| {
        let used = target.map(|settings| TargetUse { type_name: "openai", settings });
        MEMBER.check(&settings(&MEMBER, given), used.as_ref()).unwrap_err().public().to_owned()
    };
    assert!(check(&[], Some(&target)).contains("project-id"));
    assert!(check(&[("project-id", "../keys")], Some(&target)).contains("project-id"));
    assert!(check(&[("project-id", "proj_a")], None).contains("target-name"));
    let check = |given: &[(&'static str, &str)]| {
        let checked = target_by_name("openai").unwrap().check(&target_of("openai", given));
        checked.unwrap_err().public().to_owned()
    };
    assert!(check(&[]).contains("api-key"));
    assert!(check(&[("api-key", "a b")]).contains("api-key"));
    assert!(check(&[("api-key", "x"), ("organization-id", "a\nb")]).contains("organization-id"));
    assert!(check(&[("api-key", "x"), ("openai-url", "ftp://x")]).contains("openai-url"));
}
