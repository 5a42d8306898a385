//! Which settings make sense, and that nothing leaves its namespace. What a real API server makes
//! of it is in the tests of whole processes.

use super::*;
use crate::testing::{Caller, settings, target_of, way};
use crate::{Way, is_handle};

const OWN: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: kube-system}
rules:
- {apiGroups: [''], resources: [pods], verbs: [get, list]}
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: x, namespace: kube-system}
subjects: [{kind: User, name: mallory, namespace: kube-system}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
";

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)]) -> Self {
        let target = target_of(
            "k8s",
            &[
                ("k8s-cluster-endpoint", "https://cluster.example"),
                ("k8s-cluster-token", "canary-token"),
            ],
        );
        Self { settings: settings(&K8s, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "k8s", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        K8s.check(&self.settings, self.scene().target.as_ref())
    }

    fn handle(&self, args: &[&str]) -> Result<String, Fault> {
        let args: Vec<_> = args.iter().map(|text| (*text).to_owned()).collect();
        let caller = Caller::with(&[("email", "-_O'Neil/../..@X.example-")]);
        Ok(K8s.plan(&self.scene(), &Wish { args: &args, ..caller.wish() })?.handle)
    }
}

const DYNAMIC: (&str, &str) = ("k8s-service-account-type", "dynamic");
const ROLE: (&str, &str) = ("k8s-predefined-role-name", "view");

#[test]
fn callers_choose_namespaces_that_are_allowed_and_nothing_else() {
    let stage = Stage::new(&[DYNAMIC, ROLE, ("k8s-allowed-namespaces", "team-a, team-b")]);
    assert!(stage.check().unwrap().is_empty());
    assert!(stage.handle(&[]).unwrap().starts_with("sa.default.tmp-p-abc123def456."));
    assert!(stage.handle(&["namespace=team-b"]).unwrap().starts_with("sa.team-b."));
    assert!(stage.handle(&["namespace=default"]).unwrap().starts_with("sa.default."));
    for bad in [
        "namespace=kube-system",
        "namespace=",
        "namespace=team-a/../kube-system",
        "namespace=team-a.x",
        "namespace=*",
        "namespace=TEAM-A",
        "namespace=team-a\n",
        "role_arn=x",
    ] {
        assert!(stage.handle(&[bad]).unwrap_err().public().contains("args"), "{bad:?}");
    }
    let any = Stage::new(&[DYNAMIC, ROLE, ("k8s-allowed-namespaces", "*")]);
    assert!(any.handle(&["namespace=team-c"]).unwrap().starts_with("sa.team-c."));
    // An account that stays is where it is.
    let fixed = Stage::new(&[("k8s-service-account", "ci"), ("k8s-allowed-namespaces", "*")]);
    assert!(fixed.check().unwrap().is_empty());
    assert!(fixed.handle(&["namespace=team-c"]).is_err());
    assert!(fixed.handle(&[]).unwrap().starts_with("token.default."));
}

#[test]
fn names_are_those_of_objects_whatever_claims_say() {
    let template = ("custom-username-template", "{{ .email }}");
    let handle = Stage::new(&[DYNAMIC, ROLE, template]).handle(&[]).unwrap();
    let name = handle.strip_prefix("sa.default.").unwrap();
    assert!(name.starts_with("o-neil-------x-example."), "{name}");
    assert!(is_handle(&handle) && roles::subdomain("", name).is_ok(), "{name}");
    let dots = ("custom-username-template", "..-..");
    let handle = Stage::new(&[DYNAMIC, ROLE, dots]).handle(&[]).unwrap();
    assert!(handle.starts_with("sa.default.tmp."), "{handle}");
    let stage = Stage::new(&[DYNAMIC, ROLE]);
    for bad in [
        "",
        "default",
        "sa.default.aaaaaaaaaaaaaaaa",
        "pod.default.x.aaaaaaaaaaaaaaaa",
        "sa.Default.x.aaaaaaaaaaaaaaaa",
        "sa.a/b.x.aaaaaaaaaaaaaaaa",
    ] {
        assert!(Session::new(&stage.scene(), bad).is_err(), "{bad}");
    }
}

#[test]
fn of_what_is_written_nothing_but_rules_is_taken() {
    let stage = Stage::new(&[DYNAMIC, ("k8s-rolebinding-yaml-def", OWN)]);
    assert!(stage.check().unwrap().is_empty());
    let (role, binding) = rights(&stage.settings).unwrap().objects("team", "x.1");
    let metadata = json!({"name": "x.1", "namespace": "team"});
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]});
    let role = role.unwrap();
    assert_eq!((&role["metadata"], &role["rules"]), (&metadata, &json!([rule])));
    let subject = json!({"kind": "ServiceAccount", "name": "x.1", "namespace": "team"});
    assert_eq!(binding["subjects"], json!([subject]));
    assert_eq!((&binding["metadata"], &binding["roleRef"]["name"]), (&metadata, &json!("x.1")));
    let there =
        OWN.split("---").nth(1).unwrap().replace("Role, name: reader", "ClusterRole, name: view");
    let stage = Stage::new(&[DYNAMIC, ("k8s-rolebinding-yaml-data", &there)]);
    let (role, binding) = rights(&stage.settings).unwrap().objects("team", "x.1");
    assert_eq!((role, &binding["roleRef"]["kind"]), (None, &json!("ClusterRole")));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(0..8).map(|n| format!("b{n}: &b{n} [*a,*a,*a,*a,*a,*a,*a,*a]\n")).collect::<String>();
    for bad in [
        "",
        "text",
        "[",
        "\u{0}",
        &OWN.replace("kind: Role\n", "kind: ClusterRole\n"),
        &OWN.replace("kind: RoleBinding", "kind: ClusterRoleBinding"),
        &OWN.replace("kind: RoleBinding", "kind: Pod"),
        &OWN.replace("name: reader}\n", "name: other}\n"),
        &OWN.replace(
            "RoleBinding\napiVersion: rbac.authorization.k8s.io/",
            "RoleBinding\napiVersion: ",
        ),
        &OWN.replace("roleRef", "other"),
        &there.replace("name: view", "name: ../view"),
        &there.replace("ClusterRole, name: view", "User, name: view"),
        &[OWN, "\n---\n", OWN].concat(),
        &bomb,
    ] {
        let stage = Stage::new(&[DYNAMIC, ("k8s-rolebinding-yaml-def", bad)]);
        let fault = stage.check().unwrap_err();
        let named = ["k8s-rolebinding-yaml-def", "k8s-predefined-role-name"];
        assert!(named.iter().any(|field| fault.public().contains(field)), "{bad}: {fault}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (field, given) in [
        ("k8s-service-account", &[][..]),
        ("k8s-service-account", &[("k8s-service-account", "a/b")]),
        ("k8s-service-account-type", &[("k8s-service-account-type", "other")]),
        ("k8s-namespace", &[DYNAMIC, ROLE, ("k8s-namespace", "a/b")]),
        ("k8s-allowed-namespaces", &[DYNAMIC, ROLE, ("k8s-allowed-namespaces", "a,B")]),
        ("k8s-predefined-role-name", &[DYNAMIC]),
        ("k8s-predefined-role-name", &[DYNAMIC, ("k8s-predefined-role-name", "a/b")]),
        ("k8s-predefined-role-type", &[DYNAMIC, ROLE, ("k8s-predefined-role-type", "Pod")]),
        ("k8s-rolebinding-yaml-def", &[DYNAMIC, ROLE, ("k8s-rolebinding-yaml-def", OWN)]),
    ] {
        let fault = Stage::new(given).check().unwrap_err();
        assert!(fault.public().contains(field), "{given:?}: {fault}");
    }
    let wide = [DYNAMIC, ("k8s-predefined-role-name", "cluster-admin")];
    assert_eq!(Stage::new(&wide).check().unwrap().len(), 1);
    let target = keysherd_targets::by_name("k8s").unwrap();
    let plain =
        [("k8s-cluster-endpoint", "https://c.example"), ("k8s-cluster-token", "canary-token")];
    assert!(target.check(&target_of("k8s", &plain)).is_ok());
    for (field, value) in [
        ("k8s-cluster-endpoint", "http://c.example"),
        ("k8s-cluster-ca-cert", "canary-no-certificate"),
        ("k8s-cluster-token", "canary a\nb"),
        ("use-gw-service-account", "true"),
        ("k8s-auth-type", "kerberos"),
        ("k8s-client-certificate", "x"),
    ] {
        let given: Vec<_> = plain.iter().copied().chain([(field, value)]).collect();
        let given = match field {
            "k8s-client-certificate" => [given, vec![("k8s-auth-type", "certificate")]].concat(),
            _ => given,
        };
        let fault = target.check(&target_of("k8s", &given)).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}
