//! The Helm chart at a real API server: installed, upgraded, held against the strictest standard of
//! pod security.

use serde_json::{Value, json};

use super::chart::EXAMPLES;
use crate::kit::helm::{chart, values};
use crate::kit::{Helm, Kube};

#[test]
fn a_real_api_server_takes_the_chart() {
    let Some(helm) = Helm::find() else { return };
    let Some(kube) = Kube::start() else { return };
    let access = kube.helm_arguments();
    for example in EXAMPLES {
        let namespace = json!({"metadata": {
            "name": example,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        kube.make("/api/v1/namespaces", namespace);
        let (chart, values) = (chart(), values(example));
        let run = |verb: &[&str]| {
            let place = ["--namespace", example, "--values", &values];
            let access = access.iter().map(String::as_str);
            let args: Vec<&str> = verb.iter().copied().chain(place).chain(access).collect();
            helm.run(&args)
        };
        let installed = run(&["install", "r", &chart]).expect(0);
        assert!(!installed.err.contains("would violate"), "{}", installed.err);
        assert!(installed.out.contains("logs r-keysherd-0 -c enroll"), "{}", installed.out);
        let alone = installed.out.contains("one trust domain");
        assert_eq!(alone, example == "fragments", "{}", installed.out);
        let path = format!("/apis/apps/v1/namespaces/{example}/statefulsets/r-keysherd");
        let before = kube.look(&path);
        // The same values again change nothing.
        run(&["upgrade", "r", &chart]).expect(0);
        assert_eq!(kube.look(&path)["metadata"]["generation"], before["metadata"]["generation"]);
        pods_are_restricted(&kube, example, &before["spec"]["template"]);
        let policy =
            format!("/apis/networking.k8s.io/v1/namespaces/{example}/networkpolicies/r-keysherd");
        assert_eq!(kube.look(&policy)["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    }
}

/// The pods of a template are let in where the standard is enforced; the same as root are not.
fn pods_are_restricted(kube: &Kube, namespace: &str, template: &Value) {
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict");
    let mut pod = json!({
        "metadata": {"name": "r-keysherd-0", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    });
    pod["spec"]["volumes"].as_array_mut().unwrap().push(json!({"name": "data", "emptyDir": {}}));
    let made = kube.try_to_make(&path, &pod);
    assert!(made.is_success(), "{}", made.text());
    pod["spec"]["securityContext"]["runAsNonRoot"] = json!(false);
    let refused = kube.try_to_make(&path, &pod);
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("restricted"), "{}", refused.text());
}
