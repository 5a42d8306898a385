//! Kubeconfig files: which clusters are in them, for whom, and that nothing in them signs in.

use serde_json::{Value, json};

use crate::kit::{Api, Site};

const TOKEN: &str = "canary-token";

/// A cluster that nobody reaches, and a secret for it.
fn cluster(admin: &Api, name: &str, called: &str) {
    let endpoint = format!("https://{name}.example:6443");
    let target = json!({
        "name": format!("/k8s/{name}"), "k8s-cluster-endpoint": endpoint,
        "k8s-cluster-token": TOKEN, "k8s-cluster-name": called,
    });
    admin.ok("target-create-k8s", target);
    let secret = json!({
        "name": format!("/dyn/{name}"), "target-name": format!("/k8s/{name}"),
        "k8s-service-account": "ci", "k8s-namespace": "build", "skip-dry-run": true,
    });
    admin.ok("dynamic-secret-create-k8s", secret);
}

fn file(api: &Api) -> Value {
    api.ok("kubeconfig-generate", json!({}))
}

#[test]
fn a_kubeconfig_file_has_the_clusters_of_who_asks_and_no_credential() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    assert_eq!(file(&admin)["data"]["clusters"], json!([]));
    cluster(&admin, "a", "prod");
    cluster(&admin, "b", "prod");
    cluster(&admin, "c", "test");
    let whole = file(&admin);
    assert!(!whole.to_string().contains(TOKEN), "{whole}");
    assert_eq!(whole["errors"], json!([]));
    assert_eq!(whole["conflicted_clusters_names"], json!(["prod"]));
    let data = &whole["data"];
    assert_eq!((&data["kind"], &data["apiVersion"]), (&json!("Config"), &json!("v1")));
    assert_eq!(data["current-context"], "prod");
    let cluster = json!({"name": "prod", "cluster": {"server": "https://a.example:6443"}});
    assert_eq!(data["clusters"][0], cluster);
    let context = json!({"cluster": "test", "user": "/dyn/c", "namespace": "build"});
    assert_eq!(data["contexts"][1], json!({"name": "test", "context": context}));
    let args = &data["users"][1]["user"]["exec"]["args"];
    assert_eq!(args, &json!(["dynamic-secret-get-value", "--name", "/dyn/c", "--json"]));

    // Others have theirs; what may be seen and not read is said to be left out.
    let reader = admin.person_who_may("reader", &[("item-rule", "/dyn/c", "read,list")]);
    let own = file(&reader.api);
    assert_eq!(own["data"]["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(own["data"]["current-context"], "test");
    let lister = admin.person_who_may("lister", &[("item-rule", "/dyn/*", "list")]);
    let nothing = file(&lister.api);
    assert_eq!(nothing["data"]["clusters"], json!([]));
    assert_eq!(nothing["errors"].as_array().unwrap().len(), 3, "{nothing}");
    assert!(!nothing.to_string().contains("example:6443"), "{nothing}");
    let nobody = admin.new_person("/people/nobody");
    let nobody = nobody.api.login(&nobody.access_id, &nobody.access_key);
    assert_eq!(file(&nobody)["errors"], json!([]));
    server.nobody().refused(401, "kubeconfig-generate", json!({}));
}
