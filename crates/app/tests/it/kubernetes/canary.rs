//! What a login with a service account's token is made with stays at the gateway: the token, the
//! reviewer's token and the key that signs assertions are nowhere else, and in no file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::stand_in::{OWN_AUDIENCE, REVIEWER, pod_token, review};
use crate::kit::{Cluster, ClusterWish, Needles, Stub, random};

/// A text that is nowhere by chance.
fn planted() -> String {
    format!("{:016x}{:016x}", random(), random())
}

#[test]
fn t_tokens_of_service_accounts_stay_at_the_gateway() {
    let wish = ClusterWish { wires: true, ..ClusterWish::default() };
    let cluster = Cluster::start_with(&wish);
    let admin = cluster.admin();
    let made = admin.ok("auth-method-create-k8s", json!({"name": "/k8s/apps"}));
    let key = STANDARD.decode(made["prv_key"].as_str().unwrap()).unwrap();
    let pem = String::from_utf8(key).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    // As a cluster makes them: the last part is the signature.
    let namespace = format!("n{}", planted());
    let unsigned = pod_token(&namespace, "app", OWN_AUDIENCE);
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    let signatures = [planted(), planted()];
    let [good, bad] = [0, 1].map(|one| format!("{unsigned}.{}", signatures[one]));
    let known = vec![good.clone()];
    let stub = Stub::json(move |asked| review(&known, asked));
    let mut config = json!({
        "name": "prod", "access-id": made["access_id"], "signing-key": made["prv_key"],
        "k8s-host": stub.url, "k8s-ca-cert": STANDARD.encode(&stub.ca_pem),
        "token-reviewer-jwt": REVIEWER,
    });
    admin.ok("gateway-create-k8s-auth-config", config.clone());
    let login = |token: &str| {
        json!({
            "access-type": "k8s", "access-id": made["access_id"], "k8s-auth-config-name": "prod",
            "k8s-service-account-token": token,
        })
    };
    cluster.nobody().ok("auth", login(&good));
    cluster.nobody().ok("auth", login(&STANDARD.encode(&good)));
    cluster.nobody().refused(401, "auth", login(&bad));
    config["new-name"] = "prod".into();
    admin.ok("gateway-update-k8s-auth-config", config);
    cluster.nobody().ok("auth", login(&good));
    let needles = Needles::of("the token", signatures[0].as_bytes())
        .and(Needles::of("a refused token", signatures[1].as_bytes()))
        .and(Needles::of("the reviewer's token", REVIEWER.as_bytes()))
        .and(Needles::of("the signing key", &der))
        // Among its primes, however they are kept.
        .and(Needles::of("a part of the signing key", &der[700..764]));
    assert!(!needles.found_in(pem.replace('\n', "").as_bytes()).is_empty());
    for node in cluster.nodes() {
        assert_eq!(needles.found_below(&node.data), Vec::<String>::new());
        let logged = format!("{}{}", node.running().out(), node.running().err());
        assert_eq!(needles.found_in(logged.as_bytes()), Vec::<&str>::new());
    }
    for node in cluster.blind() {
        let wire = node.wire.as_ref().unwrap().recorded();
        assert_eq!(needles.found_in(&wire), Vec::<&str>::new(), "on a wire of {:?}", node.data);
    }
    // The control: what control was told is there to be found.
    let told = Needles::of("the namespace", namespace.as_bytes());
    assert!(!told.found_below(&cluster.control.data).is_empty(), "the search sees nothing");
    if rustix::process::geteuid().is_root() {
        let control = cluster.control.running().pid();
        assert_eq!(needles.found_in_memory_of(control), Vec::<String>::new(), "in control");
        assert!(!told.found_in_memory_of(control).is_empty(), "the search sees nothing");
    }
}
