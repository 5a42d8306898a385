//! Against a stand-in for Google's services.

use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::testing::google::{KEEPER, World, google as stand_in, key};
use crate::testing::{Caller, settings, target_of, way};

#[tokio::test]
async fn tokens_are_of_the_account_and_end_by_themselves() {
    let world = Arc::<Mutex<World>>::default();
    let stub = stand_in(world.clone()).await;
    let other = "reports@own-project.iam.gserviceaccount.com";
    for (account, token, user) in
        [(None, "canary-lent", KEEPER), (Some(other), &*format!("canary-of-{other}"), other)]
    {
        let key = key(true);
        let mut given = vec![
            ("gke-account-key", key.as_str()),
            ("gke-cluster-endpoint", "https://cluster.example/"),
            ("gke-cluster-name", "reports"),
        ];
        given.extend(account.map(|account| ("gke-service-account-email", account)));
        let target = target_of("gke", &given);
        let used = TargetUse { type_name: "gke", settings: &target };
        let (own, mut way) = (settings(&GkeTokens, &[("user-ttl", "30m")]), way());
        way.endpoints.google = Some(stub.url.clone());
        assert!(GkeTokens.check(&own, Some(&used)).unwrap().is_empty());
        target_by_name("gke").unwrap().probe(&target, &way).await.unwrap();
        let scene = Scene { settings: &own, target: Some(used), way: &way };
        let plan = GkeTokens.plan(&scene, &Caller::with(&[]).wish()).unwrap();
        let made = GkeTokens.create(&scene, &plan).await.unwrap();
        assert_eq!(made.value["status"]["token"], token);
        assert_eq!(made.value["kind"], "ExecCredential");
        assert_eq!(made.value["clusterEndpoint"], "https://cluster.example");
        assert_eq!(made.value["clusterUsername"], user);
        assert!(made.ends.is_some());
        let warned = GkeTokens.revoke(&scene, &plan.handle).await.unwrap();
        assert!(warned[0].contains("its own time"), "{warned:?}");
        assert!(GkeTokens.revoke(&scene, "other").await.is_err());
    }
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    assert!(world.lock().unwrap().claims.iter().all(|claims| claims["scope"] == scope));
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_wrong_and_told_nobody() {
    let stub = stand_in(Arc::default()).await;
    let key = key(false);
    let given =
        [("gke-account-key", key.as_str()), ("gke-cluster-endpoint", "https://cluster.example")];
    let mut way = way();
    way.endpoints.google = Some(stub.url.clone());
    let target = target_of("gke", &given);
    let fault = target_by_name("gke").unwrap().probe(&target, &way).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(fault.public().contains("invalid_grant"), "{fault}");
    assert!(!format!("{fault:?}").contains("assertion"), "{fault:?}");
    let check = |given: &[(&'static str, &str)]| {
        target_by_name("gke").unwrap().check(&target_of("gke", given)).unwrap_err()
    };
    let with = |field: &'static str, value: &'static str| {
        check(&[given[0], given[1], (field, value)]).public().to_owned()
    };
    for (field, value) in [
        ("gke-account-key", "{}"),
        ("gke-account-key", "{\"type\": \"authorized_user\"}"),
        ("gke-account-key", "x"),
        ("gke-cluster-endpoint", "http://cluster.example"),
        ("gke-service-account-email", "../x"),
        ("gke-cluster-cert", "x"),
        ("use-gw-cloud-identity", "true"),
    ] {
        assert!(with(field, value).contains(field), "{field}: {}", with(field, value));
    }
    let own = settings(&GkeTokens, &[("user-ttl", "2h")]);
    let used = TargetUse { type_name: "gke", settings: &target };
    let fault = GkeTokens.check(&own, Some(&used)).unwrap_err();
    assert!(fault.public().contains("user-ttl"), "{fault}");
}
