//! Service accounts on a real Kubernetes API server: what their tokens may do, and until when. The
//! engine is called as a gateway calls it.

use std::collections::BTreeMap;

use keysherd_base::{Fault, ItemPath, SystemClock, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_egress::Egress;
use keysherd_engines::{Created, Engine, Scene, Settings, TargetUse, Way, Wish, by_name};
use keysherd_wire::Args;
use serde_json::{Value, json};

use crate::kit::{Kube, wait_until};

const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: mine, namespace: kube-system}
rules:
- {apiGroups: [''], resources: [configmaps], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
subjects: [{kind: ServiceAccount, name: mallory, namespace: default}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: mine}
";

fn merged(
    given: &[(&'static str, &str)],
    of: impl Fn(&Args) -> Result<Settings, Fault>,
) -> Settings {
    let mut args = Args::new();
    for (name, value) in given {
        args.put(name, (*value).into());
    }
    of(&args).unwrap()
}

/// A cluster, a way there, and the engine.
struct Stage {
    kube: Kube,
    engine: &'static dyn Engine,
    way: Way,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn start() -> Option<Self> {
        let kube = Kube::start()?;
        for namespace in ["team", "other"] {
            kube.namespace(namespace);
        }
        let clock = std::sync::Arc::new(SystemClock);
        let way = Way::new(clock, SystemRng::handle(), Egress::default());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Some(Self { kube, engine: by_name("k8s").unwrap(), way, runtime })
    }

    /// The token of an account that may do this everywhere.
    fn account(&self, name: &str, rules: &Value) -> String {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        self.kube.account("kube-system", name);
        let metadata = json!({"name": name});
        self.kube
            .make(&format!("{rbac}/clusterroles"), json!({"metadata": metadata, "rules": rules}));
        let role =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"});
        let binding = json!({"metadata": metadata, "roleRef": role, "subjects": [subject]});
        self.kube.make(&format!("{rbac}/clusterrolebindings"), binding);
        let token = self.kube.token(("kube-system", name), &[], "");
        let first = |what: &str| rules[0][what][0].clone();
        let wanted = json!({
            "group": first("apiGroups"), "resource": first("resources"), "verb": first("verbs"),
        });
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        });
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        wait_until("the account's rights to be in force", || {
            let answer = self.kube.ask("POST", reviews, Some(&token), &question);
            answer.is_success() && answer.json()["status"]["allowed"] == true
        });
        token
    }

    fn target(&self, token: &str) -> Settings {
        let given = [
            ("k8s-cluster-endpoint", self.kube.url.as_str()),
            ("k8s-cluster-ca-cert", self.kube.ca_pem.as_str()),
            ("k8s-cluster-name", "the cluster"),
            ("k8s-cluster-token", token),
        ];
        let target = keysherd_targets::by_name("k8s").unwrap();
        let settings = merged(&given, |args| target.merged(args, Settings::default()));
        self.runtime.block_on(target.probe(&settings, &self.way)).unwrap();
        settings
    }

    fn secret(&self, given: &[(&'static str, &str)]) -> Settings {
        merged(given, |args| self.engine.merged(args, Settings::default()))
    }

    /// What is made, with its handle.
    fn make(
        &self,
        target: &Settings,
        secret: &Settings,
        args: &[&str],
    ) -> Result<(String, Created), (String, Fault)> {
        let target = TargetUse { type_name: "k8s", settings: target };
        let scene = Scene { settings: secret, target: Some(target), way: &self.way };
        self.engine.check(secret, Some(&target)).unwrap();
        let args: Vec<_> = args.iter().map(|text| (*text).to_owned()).collect();
        let wish = Wish {
            lease: Uid::random(self.way.rng.as_ref()).unwrap(),
            item: &ItemPath::parse("/prod/cluster").unwrap(),
            access_id: "p-abc123def456",
            sub_claims: &BTreeMap::new(),
            ttl_seconds: 900,
            args: &args,
            host: None,
            dbname: None,
            is_trial: false,
        };
        let plan = self.engine.plan(&scene, &wish).unwrap();
        let made = self.runtime.block_on(self.engine.create(&scene, &plan));
        match made {
            Ok(made) => Ok((plan.handle, made)),
            Err(fault) => Err((plan.handle, fault)),
        }
    }

    fn revoke(&self, target: &Settings, secret: &Settings, handle: &str) {
        let target = TargetUse { type_name: "k8s", settings: target };
        let scene = Scene { settings: secret, target: Some(target), way: &self.way };
        // Twice does no harm.
        for _ in 0..2 {
            let warned = self.runtime.block_on(self.engine.revoke(&scene, handle)).unwrap();
            assert_eq!(warned, Vec::<String>::new());
        }
    }

    fn status(&self, created: &Created, path: &str) -> u16 {
        let token = created.value["status"]["token"].as_str();
        self.kube.ask("GET", path, token, &Value::Null).status
    }

    /// The cluster remembers for some seconds whom it knew.
    fn is_refused(&self, created: &Created) {
        wait_until("the token to be refused", || {
            self.status(created, "/api/v1/namespaces/team/configmaps") == 401
        });
    }

    fn has(&self, resource: &str, handle: &str) -> bool {
        let name = handle.splitn(3, '.').nth(2).unwrap();
        let group = match resource {
            "roles" | "rolebindings" => "/apis/rbac.authorization.k8s.io/v1",
            _ => "/api/v1",
        };
        let list = self.kube.look(&format!("{group}/namespaces/team/{resource}"));
        let mut items = list["items"].as_array().unwrap().iter();
        items.any(|item| item["metadata"]["name"] == name)
    }
}

fn everything() -> Value {
    json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
}

#[test]
fn tokens_may_what_was_given_until_they_are_revoked() {
    let Some(stage) = Stage::start() else { return };
    let target = stage.target(&stage.account("minter", &everything()));
    let made = stage.secret(&[
        ("k8s-service-account-type", "dynamic"),
        ("k8s-namespace", "default"),
        ("k8s-allowed-namespaces", "team"),
        ("k8s-rolebinding-yaml-def", READER),
    ]);
    stage.kube.account("team", "ci");
    let fixed = stage.secret(&[("k8s-namespace", "team"), ("k8s-service-account", "ci")]);
    let (handle, one) = stage.make(&target, &made, &["namespace=team"]).unwrap();
    let (other, two) = stage.make(&target, &made, &["namespace=team"]).unwrap();
    let (bound, three) = stage.make(&target, &fixed, &[]).unwrap();
    let (rest, four) = stage.make(&target, &fixed, &[]).unwrap();
    // The form that kubectl reads, and what our clients look for beside.
    let value = Value::Object(one.value.clone());
    assert_eq!(value["apiVersion"], "client.authentication.k8s.io/v1beta1");
    assert_eq!(value["kind"], "ExecCredential");
    assert_eq!(value["clusterName"], "the cluster");
    assert_eq!(value["clusterEndpoint"], stage.kube.url.as_str());
    for created in [&one, &two, &three, &four] {
        assert_eq!((created.ends, created.warnings.len()), (None, 0));
    }
    for created in [&one, &two] {
        assert_eq!(stage.status(created, "/api/v1/namespaces/team/configmaps"), 200);
        assert_eq!(stage.status(created, "/api/v1/namespaces/team/secrets"), 403);
        assert_eq!(stage.status(created, "/api/v1/namespaces/other/configmaps"), 403);
        assert_eq!(stage.status(created, "/api/v1/namespaces/kube-system/configmaps"), 403);
    }
    // An account without any right is known, and may nothing.
    assert_eq!(stage.status(&three, "/api/v1/namespaces/team/configmaps"), 403);
    stage.revoke(&target, &made, &handle);
    stage.revoke(&target, &fixed, &bound);
    for resource in ["serviceaccounts", "roles", "rolebindings"] {
        assert!(!stage.has(resource, &handle) && stage.has(resource, &other), "{resource}");
    }
    assert!(!stage.has("secrets", &bound) && stage.has("secrets", &rest));
    stage.is_refused(&one);
    stage.is_refused(&three);
    assert_eq!(stage.status(&two, "/api/v1/namespaces/team/configmaps"), 200);
    assert_eq!(stage.status(&four, "/api/v1/namespaces/team/configmaps"), 403);
}

#[test]
fn a_failed_creation_leaves_no_account_behind() {
    let Some(stage) = Stage::start() else { return };
    // It may make accounts, and neither bind roles nor make secrets.
    let rules = json!([
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["create", "delete"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
         "verbs": ["delete"]},
    ]);
    let weak = stage.target(&stage.account("weak", &rules));
    let made = stage.secret(&[
        ("k8s-service-account-type", "dynamic"),
        ("k8s-namespace", "team"),
        ("k8s-rolebinding-yaml-def", READER),
    ]);
    let (handle, fault) = stage.make(&weak, &made, &[]).err().unwrap();
    assert!(fault.public().contains("403"), "{fault}");
    assert!(!stage.has("serviceaccounts", &handle));
    stage.kube.account("team", "ci");
    let fixed = stage.secret(&[("k8s-namespace", "team"), ("k8s-service-account", "ci")]);
    let (handle, created) = stage.make(&weak, &fixed, &[]).unwrap();
    assert!(created.ends.is_some(), "it ends by itself");
    assert!(created.warnings[0].contains("cannot be revoked"), "{:?}", created.warnings);
    stage.revoke(&weak, &fixed, &handle);
    let nobody = stage.secret(&[("k8s-namespace", "team"), ("k8s-service-account", "nobody")]);
    let all = stage.target(&stage.account("minter", &everything()));
    let (handle, fault) = stage.make(&all, &nobody, &[]).err().unwrap();
    assert!(fault.public().contains("404"), "{fault}");
    assert!(!stage.has("secrets", &handle));
}
