//! The Helm chart: what it renders, what it refuses, and that the rendered settings are ones the
//! roles know.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::helm::{chart, values};
use crate::kit::{Helm, finish, keysherd, project, yaml};

/// The examples, each with its role.
pub(super) const EXAMPLES: [&str; 3] = ["gateway", "control", "fragments"];
/// Kinds of objects that the chart may make.
const KINDS: &[&str] = &[
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn the_chart_renders_the_same_every_time() {
    let Some(helm) = Helm::find() else { return };
    for example in EXAMPLES {
        let first = helm.render(example, &[]).expect(0).out;
        assert_eq!(first, helm.render(example, &[]).expect(0).out, "{example}");
        helm.run(&["lint", "--strict", &chart(), "--values", &values(example)]).expect(0);
        for object in yaml(&first) {
            let kind = object["kind"].as_str().unwrap();
            assert!(KINDS.contains(&kind), "{example} makes a {kind}");
            assert_eq!(object["metadata"]["namespace"], "ns", "{object}");
        }
    }
    // Nothing random, nothing looked up, no secret made.
    for entry in fs::read_dir(Path::new(&chart()).join("templates")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for word in ["lookup", "rand", "genCA", "genSelf", "uuidv4", "now", "kind: Secret"] {
            let found = text.split(|c: char| !c.is_alphanumeric() && c != ':' && c != ' ');
            assert!(!found.into_iter().any(|part| part.trim() == word), "{word}");
        }
    }
}

#[test]
fn what_runs_in_pods_is_nobody_with_a_read_only_root() {
    let Some(helm) = Helm::find() else { return };
    for example in EXAMPLES {
        let objects = yaml(&helm.render(example, &[]).expect(0).out);
        let pod = &of_kind(&objects, "StatefulSet")["spec"]["template"]["spec"];
        let outer = &pod["securityContext"];
        assert_eq!(outer["runAsNonRoot"], true);
        assert!(
            outer["runAsUser"].as_u64().unwrap() > 0 && outer["runAsGroup"].as_u64().unwrap() > 0
        );
        assert_eq!(outer["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        for never in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
            assert!(pod[never].is_null(), "{never}");
        }
        let containers = ["initContainers", "containers"];
        let containers = containers.iter().flat_map(|name| pod[name].as_array().unwrap());
        for container in containers {
            let inner = &container["securityContext"];
            let wanted = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(*inner, wanted);
            assert!(container["command"].is_null(), "the image's own program runs");
            // Secrets are files: everybody who can see a pod sees its environment.
            for variable in container["env"].as_array().unwrap() {
                assert!(variable["valueFrom"]["secretKeyRef"].is_null(), "{variable}");
            }
            assert!(container["envFrom"].is_null());
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume["hostPath"].is_null());
            let mode = volume["secret"]["defaultMode"].as_u64();
            assert!(mode.is_none_or(|mode| mode == 0o440), "{volume}");
        }
    }
}

#[test]
fn the_network_policy_lets_in_to_one_port_and_managers_out_to_few() {
    let Some(helm) = Helm::find() else { return };
    let more = ["--set", "managers.3=fm3.example:9401"];
    let objects = yaml(&helm.render("fragments", &more).expect(0).out);
    let policy = &of_kind(&objects, "NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["ingress"].as_array().unwrap().len(), 1);
    assert_eq!(policy["ingress"][0]["ports"].as_array().unwrap().len(), 1);
    let out = policy["egress"][0]["ports"].as_array().unwrap();
    let out: Vec<_> = out.iter().map(|port| port["port"].as_u64().unwrap()).collect();
    assert_eq!(out, [53, 53, 8400, 8401, 9401]);
    let selected = &policy["podSelector"]["matchLabels"];
    let template = &of_kind(&objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"];
    for (name, value) in selected.as_object().unwrap() {
        assert_eq!(template[name], *value);
    }
}

#[test]
fn spreading_needs_no_affinity_and_autoscaling_owns_the_number() {
    let Some(helm) = Helm::find() else { return };
    let objects = yaml(&helm.render("gateway", &[]).expect(0).out);
    let set = &of_kind(&objects, "StatefulSet")["spec"];
    // A number here would undo what the autoscaler did, at each upgrade.
    assert!(set["replicas"].is_null());
    let pod = &set["template"]["spec"];
    assert!(pod["affinity"].is_null());
    // Balancers learn that a pod ends before it does.
    assert_eq!(pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 5);
    assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 1);
    let claimed = &set["persistentVolumeClaimRetentionPolicy"];
    assert_eq!(*claimed, json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
    let fixed = ["--set", "autoscaling.enabled=false,replicas=3,topologySpread.enabled=false"];
    let objects = yaml(&helm.render("gateway", &fixed).expect(0).out);
    let set = &of_kind(&objects, "StatefulSet")["spec"];
    assert_eq!(set["replicas"], 3);
    assert!(set["template"]["spec"]["topologySpreadConstraints"].is_null());
    assert!(!objects.iter().any(|object| object["kind"] == "HorizontalPodAutoscaler"));
}

#[test]
fn wrong_values_are_refused_by_name() {
    let Some(helm) = Helm::find() else { return };
    let digits = "d".repeat(64);
    let passwords = "controlPlane.database.url=postgres://me:hunter2@db.example/store";
    for (example, wrong, parts) in [
        ("gateway", "role=bastion", &["role"][..]),
        ("gateway", "ownerKey=", &["ownerKey"]),
        ("gateway", "ownerKey=abc", &["ownerKey"]),
        ("gateway", "roles=gateway", &["roles"]),
        ("gateway", "control=null", &["control"]),
        ("gateway", "control[0]=https://control.example", &["control"]),
        ("gateway", "managers.8=a:1", &["managers"]),
        ("gateway", "image.tag=latest", &["image"]),
        ("gateway", "image.digest=sha256:1", &["digest"]),
        ("gateway", "gateway.existingSecret=x", &["existingSecret"]),
        ("gateway", "gateway.cluster.existingSecret=", &["gateway.cluster.existingSecret"]),
        ("gateway", "gateway.cluster.accessId=", &["accessId is not"]),
        ("gateway", "gateway.cluster.accessType=password", &["accessType"]),
        ("gateway", "gateway.cluster.accessType=gcp", &["gcp signs in without a secret"]),
        ("gateway", "env[0].name=GATEWAY_ACCESS_KEY", &["GATEWAY_ACCESS_KEY", "existingSecret"]),
        ("gateway", "env[0].name=CUSTOMER_FRAGMENTS", &["CUSTOMER_FRAGMENTS"]),
        ("gateway", "env[0].name=db_password", &["db_password"]),
        ("gateway", "env[0].name=KEYSHERD_LISTEN", &["settings"]),
        (
            "gateway",
            "env[0].value=http://me:hunter2@proxy:3128",
            &["HTTPS_PROXY", "existingSecret"],
        ),
        ("gateway", "env[0].value=me:hunter2@proxy:3128", &["HTTPS_PROXY"]),
        ("gateway", "settings.proxy=http://me:hunter2@proxy:3128", &["settings.proxy"]),
        ("gateway", "settings.x={a,//me:hunter2@b}", &["settings.x"]),
        ("gateway", "proxy.url=http://me:hunter2@proxy:3128", &["proxy.url"]),
        ("gateway", "proxy.user=me", &["proxy", "go together"]),
        ("control", "settings.database=postgres://me:hunter2@db.example/x", &["settings.database"]),
        ("fragments", "settings.database=postgres://me@db.example/x", &["controlPlane.database"]),
        ("gateway", "settings.listen=0.0.0.0:1", &["settings.listen"]),
        ("gateway", "settings.data-dir=/tmp", &["settings.data-dir"]),
        ("gateway", "autoscaling.minReplicas=9", &["minReplicas"]),
        ("gateway", "service.port=80", &["port"]),
        ("gateway", "settings.drain-seconds=36", &["terminationGracePeriodSeconds is 40"]),
        ("control", "replicas=2", &["control", "replicas"]),
        ("control", "controlPlane.database.url=", &["url"]),
        ("control", passwords, &["url"]),
        ("fragments", "fragments.index=0", &["fragments.index", "1 to 7"]),
        ("fragments", "fragments.index=8", &["index"]),
        ("fragments", "autoscaling.enabled=true", &["autoscaling"]),
    ] {
        let refused = helm.render(example, &["--set", wrong]);
        assert_ne!(refused.code, 0, "{wrong} was taken");
        for part in parts {
            assert!(refused.err.contains(part), "{wrong}: {}", refused.err);
        }
        assert!(!refused.err.contains("hunter2"), "{}", refused.err);
    }
    // The control: the same values, right.
    helm.render("gateway", &["--set", &format!("ownerKey={digits},image.tag=v1")]).expect(0);
}

/// The rendered settings are read by the program itself, with the mounted files where they are.
#[test]
fn the_roles_know_the_settings_that_are_rendered() {
    let Some(helm) = Helm::find() else { return };
    let cloud = "gateway.cluster.accessType=aws_iam,gateway.cluster.existingSecret=";
    let proxy = "proxy.url=http://proxy.example:3128,proxy.user=me,proxy.existingSecret=password";
    for (example, more) in [
        ("gateway", &[][..]),
        ("gateway", &["--set", "gateway.cluster.accessType=certificate"]),
        ("gateway", &["--set", "gateway.cluster.accessType=universal_identity"]),
        ("gateway", &["--set", cloud]),
        ("gateway", &["--set", proxy]),
        ("control", &["--set", proxy]),
        ("fragments", &["--set", proxy]),
        ("control", &[]),
        ("fragments", &[]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let objects = yaml(&helm.render(example, more).expect(0).out);
        let set = &of_kind(&objects, "StatefulSet")["spec"]["template"]["spec"];
        let mounted = home.path().join("mounted");
        let text = of_kind(&objects, "ConfigMap")["data"]["keysherd.toml"].as_str().unwrap();
        for name in named_files(text) {
            let file = mounted.join(name.strip_prefix("/etc/keysherd/").unwrap());
            let dir = file.parent().unwrap().to_owned();
            let is_mounted =
                format!("/etc/keysherd/{}", dir.file_name().unwrap().to_str().unwrap());
            let mounts = set["containers"][0]["volumeMounts"].as_array().unwrap();
            assert!(mounts.iter().any(|mount| mount["mountPath"] == *is_mounted), "{is_mounted}");
            fs::create_dir_all(&dir).unwrap();
            write_mounted(home.path(), &file);
        }
        let file = home.path().join("keysherd.toml");
        let here = format!("{}/", mounted.display());
        fs::write(&file, text.replace("/etc/keysherd/", &here)).unwrap();
        let mut command = keysherd(home.path());
        command.args([example, "--check-config", "--config"]).arg(&file);
        let checked = finish(&mut command, b"").expect(0);
        assert!(checked.out.contains("data_dir"), "{}", checked.out);
        enroll_as_the_init_container(home.path(), &set["initContainers"][0], &file);
        fs::write(&file, format!("{text}unheard-of = 1\n")).unwrap();
        let mut command = keysherd(home.path());
        command.args([example, "--check-config", "--config"]).arg(&file);
        let refused = finish(&mut command, b"").expect(64);
        assert!(refused.err.contains("unheard-of"), "{}", refused.err);
    }
}

/// Runs the init container's arguments, which print a request to the owner.
fn enroll_as_the_init_container(home: &Path, container: &Value, settings: &Path) {
    let mut command = keysherd(home);
    for word in container["args"].as_array().unwrap() {
        let word = word.as_str().unwrap().replace("$(POD_NAME)", "r-keysherd-0");
        command.arg(match word.strip_prefix("--config=") {
            Some(_) => format!("--config={}", settings.display()),
            None => word,
        });
    }
    command.env("KEYSHERD_DATA_DIR", home.join("data")).env("KEYSHERD_LOG_JSON", "true");
    let enrolled = finish(&mut command, b"").expect(0);
    let request = home.join("log");
    fs::write(&request, enrolled.err + &enrolled.out).unwrap();
    let desk = home.join("desk");
    let mut init = keysherd(home);
    init.args(["owner", "init", "--dir"]).arg(&desk);
    init.env("KEYSHERD_OWNER_PASSPHRASE", "five words as a phrase");
    finish(&mut init, b"").expect(0);
    let mut show = keysherd(home);
    show.args(["owner", "show", "--dir"]).arg(&desk).arg(&request);
    let shown = finish(&mut show, b"").expect(0);
    assert!(shown.out.contains("r-keysherd-0"), "{}", shown.out);
}

/// The files below `/etc/keysherd` that settings name.
fn named_files(text: &str) -> Vec<String> {
    let parts = text.split(['"', '=', '?', '&']).filter(|part| part.starts_with("/etc/keysherd/"));
    parts.map(str::to_owned).collect()
}

/// What such a file has in it, for the roles to read it; as open as Kubernetes leaves it.
fn write_mounted(home: &Path, file: &Path) {
    let shown = file.to_str().unwrap();
    match file.file_name().unwrap().to_str().unwrap() {
        "customer_fragments.json" => {
            let args = ["gen-customer-fragment", "--name", "test", "--out", shown];
            finish(keysherd(home).args(args), b"").expect(0);
        }
        "tls.crt" | "tls.key" | "ca.pem" => {
            let certificates = crate::kit::openssl::Authority::new("/CN=chart");
            fs::copy(certificates.path("ca.pem"), file).unwrap();
        }
        _ => fs::write(file, "some-secret\n").unwrap(),
    }
    fs::set_permissions(file, fs::Permissions::from_mode(0o440)).unwrap();
}

#[test]
fn the_chart_ships_the_image_s_user_and_the_version_of_the_project() {
    let project = project();
    let read = |name: &str| fs::read_to_string(project.join(name)).unwrap();
    let about = &yaml(&read("packaging/helm/keysherd/Chart.yaml"))[0];
    let cargo = read("Cargo.toml");
    let version = cargo.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    assert_eq!(about["appVersion"], version.trim_matches('"'));
    let set = read("packaging/helm/keysherd/templates/statefulset.yaml");
    assert!(set.contains("runAsUser: 65532"));
    let set = read("packaging/image/Dockerfile");
    assert!(set.contains("USER 65532:65532"));
}
