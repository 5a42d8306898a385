//! Each kind of target that is no syslog. S3 is moto, which checks signatures; the others are
//! recording stand-ins that speak their receivers' protocols as far as a sender sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_crypto::hash::hmac_sha256;
use serde_json::{Value, json};

use super::{Setting, recorded};
use crate::kit::moto::Moto;
use crate::kit::{Asked, Site, Stub, json_answer, wait_for, wait_until};

const WEBHOOK_SECRET: &str = "0123456789abcdef-canary";
const WORKSPACE_KEY: &str = "d29ya3NwYWNlLWtleS1jYW5hcnk=";

/// Every number after `seq_num` in a text, however that is quoted.
fn numbers(text: &str) -> BTreeSet<u64> {
    let after = text.split("seq_num").skip(1);
    let digits = after.map(|rest| {
        let rest = rest.trim_start_matches(|c: char| "\\\":= ".contains(c));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>()
    });
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

type Came = Arc<Mutex<BTreeMap<&'static str, BTreeSet<u64>>>>;

/// What each receiver says; which it is shows in the path.
fn answered(asked: &Asked) -> (&'static str, u16, Value) {
    let header = |name: &str| asked.header(name).unwrap_or_default().to_owned();
    let path = asked.line.strip_prefix("POST ").unwrap_or_default();
    match path {
        "/api/v2/logs" => {
            assert_eq!(header("dd-api-key"), "dd-canary");
            assert_eq!(asked.json()[0]["ddtags"], "env:test");
            ("datadog", 202, json!({}))
        }
        "/receiver/v1/http/sumo-canary" => {
            assert_eq!(header("x-sumo-fields"), "env=test");
            ("sumologic", 200, json!({}))
        }
        "/api/logs?api-version=2016-04-01" => {
            let date = header("x-ms-date");
            let length = asked.body.len();
            let signed = format!("POST\n{length}\napplication/json\nx-ms-date:{date}\n/api/logs");
            let key = STANDARD.decode(WORKSPACE_KEY).unwrap();
            let tag = STANDARD.encode(hmac_sha256(&key, &[signed.as_bytes()]));
            let expected = format!("SharedKey 0a1b-2c3d:{tag}");
            let status = if header("authorization") == expected { 200 } else { 403 };
            assert_eq!(header("log-type"), "AkeylessAudit");
            ("azure-analytics", status, json!({}))
        }
        "/_bulk" => {
            assert_eq!(header("authorization"), "ApiKey es-canary");
            let text = String::from_utf8(asked.body.clone()).unwrap();
            let lines: Vec<Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines[0]["index"]["_index"], "audit");
            let items = lines.iter().step_by(2).map(|_| json!({"index": {"status": 201}}));
            let items: Vec<_> = items.collect();
            ("elasticsearch", 200, json!({"errors": false, "items": items}))
        }
        "/token" => {
            let form = String::from_utf8(asked.body.clone()).unwrap();
            let assertion = form.split("assertion=").nth(1).unwrap();
            assert_eq!(assertion.split('.').count(), 3, "{form}");
            ("token", 200, json!({"access_token": "gcp-canary", "expires_in": 3600}))
        }
        "/v2/unstructuredlogentries:batchCreate" => {
            let status = if header("authorization") == "Bearer gcp-canary" { 200 } else { 401 };
            assert_eq!(asked.json()["customer_id"], "customer");
            ("google-chronicle", status, json!({}))
        }
        "/?token=logz5canary&type=keysherd-audit" => ("logz-io", 200, json!({})),
        "/v1/logs" => {
            assert_eq!(header("x-tenant"), "otlp-canary");
            ("otlp", 200, json!({"partialSuccess": {}}))
        }
        "/hook" => {
            let given = header("keysherd-signature");
            let time = given.split(',').next().unwrap().trim_start_matches("t=").to_owned();
            let signed = [time.as_bytes(), b".", &asked.body].concat();
            let tag = hex(&hmac_sha256(WEBHOOK_SECRET.as_bytes(), &[&signed]));
            let status = if given == format!("t={time},v1={tag}") { 204 } else { 401 };
            ("webhook", status, json!({}))
        }
        other => panic!("nobody posts to {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All of them at one address.
fn receivers(came: &Came) -> Stub {
    let came = came.clone();
    Stub::json(move |asked| {
        let (which, status, body) = answered(asked);
        if status < 300 {
            let text = String::from_utf8_lossy(&asked.body);
            came.lock().unwrap().entry(which).or_default().extend(numbers(&text));
        }
        (status, body)
    })
}

/// The settings of each kind.
fn targets(setting: &Setting, stub: &Stub) -> Vec<(&'static str, Value)> {
    let made = setting.admin.ok("auth-method-create-ldap", json!({"name": "/keys"}));
    let pem = STANDARD.decode(made["prv_key"].as_str().unwrap()).unwrap();
    let token_uri = format!("{}/token", stub.url);
    let key = json!({
        "client_email": "logs@project.example", "token_uri": token_uri,
        "private_key": String::from_utf8(pem).unwrap(),
    });
    let key = STANDARD.encode(key.to_string());
    let (url, ca) = (stub.url.as_str(), stub.ca_pem.as_str());
    vec![
        ("datadog", json!({"host": url, "api-key": "dd-canary", "log-tags": "env:test"})),
        (
            "sumologic",
            json!({
                "endpoint": format!("{url}/receiver/v1/http/sumo-canary"),
                "sumologic-tags": "env=test",
            }),
        ),
        (
            "azure-analytics",
            json!({
                "workspace-id": "0a1b-2c3d", "workspace-key": WORKSPACE_KEY, "endpoint-url": url,
            }),
        ),
        (
            "elasticsearch",
            json!({
                "nodes": format!("https://127.0.0.1:1, {url}"), "index": "audit",
                "api-key": "es-canary", "tls-certificate": ca,
            }),
        ),
        (
            "google-chronicle",
            json!({
                "gcp-key": key, "customer-id": "customer", "log-type": "AUDIT", "region": "us",
                "endpoint-url": url,
            }),
        ),
        ("logz-io", json!({"logz-io-token": "logz5canary", "endpoint-url": url})),
        (
            "otlp",
            json!({"otlp-url": url, "otlp-headers": "x-tenant=otlp-canary", "tls-certificate": ca}),
        ),
        (
            "webhook",
            json!({
                "webhook-url": format!("{url}/hook"), "webhook-secret": WEBHOOK_SECRET,
                "tls-certificate": STANDARD.encode(ca),
            }),
        ),
    ]
}

#[test]
fn every_http_receiver_takes_every_record() {
    let came = Came::default();
    let stub = receivers(&came);
    let setting = Setting::trusting(&stub.ca_pem);
    let targets = targets(&setting, &stub);
    for (number, (kind, target)) in targets.iter().enumerate() {
        let mut args = target.clone();
        args["forwarder-name"] = (*kind).into();
        args["pull-interval"] = 1.into();
        args["output-format"] = if number % 2 == 0 { "json" } else { "text" }.into();
        setting.admin.ok(&format!("gateway-update-log-forwarding-{kind}"), args);
    }
    setting.admin.store("/team/a", "v");
    for (kind, _) in &targets {
        wait_for(&format!("the whole log at {kind}; {}", setting.state(kind)), || {
            let came = came.lock().unwrap().get(kind).cloned().unwrap_or_default();
            (came == recorded(&setting.site, &setting.server)).then_some(())
        });
        let name = json!({"forwarder-name": kind});
        let shown = setting.admin.ok("gateway-get-log-forwarding", name);
        assert_eq!(shown["target_log_type"], kind.replace('-', "_"));
        let state = setting.state(kind);
        for text in [shown.to_string(), state.to_string()] {
            assert!(!text.contains("canary") && !text.contains("private"), "{text}");
            assert!(!text.contains(WORKSPACE_KEY), "{text}");
        }
        assert!(state["trouble"].is_null(), "{kind}: {state}");
    }
    assert_eq!(came.lock().unwrap().len(), targets.len() + 1, "each was asked, and the token");
    // A wrong credential is told, and does not get anywhere.
    let wrong = json!({"forwarder-name": "azure-analytics", "workspace-key": "d3Jvbmc="});
    setting.admin.ok("gateway-update-log-forwarding-azure-analytics", wrong);
    setting.admin.store("/team/b", "v");
    wait_until("the signature to be refused", || {
        setting.state("azure-analytics")["trouble"].to_string().contains("status 403")
    });
    // Whatever a receiver says of too many at once, they come in smaller parts.
    let remembered = came.clone();
    stub.answer(json_answer(move |asked| {
        let (which, status, body) = answered(asked);
        let found = numbers(&String::from_utf8_lossy(&asked.body));
        if which == "webhook" && found.len() > 3 {
            return (413, json!({}));
        }
        remembered.lock().unwrap().entry(which).or_default().extend(found);
        (status, body)
    }));
    let again = json!({"forwarder-name": "webhook", "from-record": 1});
    came.lock().unwrap().remove("webhook");
    setting.admin.ok("gateway-update-log-forwarding-webhook", again);
    wait_for("the whole log in small parts", || {
        let came = came.lock().unwrap().get("webhook").cloned().unwrap_or_default();
        (came == recorded(&setting.site, &setting.server)).then_some(())
    });
}

#[test]
fn logstash_inputs_and_standard_output_take_every_record() {
    let setting = Setting::new();
    let came = Arc::new(Mutex::new(BTreeMap::<&str, BTreeSet<u64>>::new()));
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ports = [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
    let remembered = came.clone();
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut text = String::new();
            // Reads to the end and hangs up, as Logstash's input does.
            if stream.unwrap().read_to_string(&mut text).is_ok() {
                remembered.lock().unwrap().entry("tcp").or_default().extend(numbers(&text));
            }
        }
    });
    let remembered = came.clone();
    std::thread::spawn(move || {
        let mut message = vec![0; 65_536];
        while let Ok(length) = udp.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            remembered.lock().unwrap().entry("udp").or_default().extend(numbers(&text));
        }
    });
    for (name, port) in ["tcp", "udp"].into_iter().zip(ports) {
        let args = json!({
            "dns": format!("127.0.0.1:{port}"), "protocol": name, "forwarder-name": name,
            "pull-interval": 1,
        });
        setting.admin.ok("gateway-update-log-forwarding-logstash", args);
    }
    setting.admin.ok("gateway-update-log-forwarding-stdout", json!({"pull-interval": 1}));
    setting.admin.store("/team/a", "v");
    for name in ["tcp", "udp", "stdout"] {
        wait_for(&format!("the whole log at {name}"), || {
            let came = match name {
                "stdout" => numbers(&setting.server.process.out()),
                name => came.lock().unwrap().get(name).cloned().unwrap_or_default(),
            };
            (came == recorded(&setting.site, &setting.server)).then_some(())
        });
    }
    let shown = setting.admin.ok("gateway-get-log-forwarding", json!({}));
    assert_eq!(shown["target_log_type"], "stdout");
}

#[test]
fn a_bucket_gets_every_record_in_signed_requests() {
    let (moto, setting) = (Moto::start(), Setting::new());
    moto.make_bucket("audit-logs");
    let (access_id, access_key) = moto.access_key();
    let args = json!({
        "access-id": access_id, "access-key": access_key, "region": "us-east-1",
        "bucket-name": "audit-logs", "endpoint-url": moto.url, "pull-interval": 1,
        "output-format": "json",
    });
    setting.admin.ok("gateway-update-log-forwarding-aws-s3", args);
    setting.admin.store("/team/a", "v");
    let there = || numbers(&moto.objects("audit-logs").into_values().collect::<String>());
    wait_for("the whole log", || {
        (there() == recorded(&setting.site, &setting.server)).then_some(())
    });
    let names: Vec<_> = moto.objects("audit-logs").into_keys().collect();
    let good =
        |name: &String| name.starts_with("akeyless-log/20") && name.contains("/akeyless-audit_");
    assert!(names.iter().all(good), "{names:?}");
    let shown = setting.admin.ok("gateway-get-log-forwarding", json!({}));
    assert_eq!(shown["aws_s3_config"]["bucket_name"], "audit-logs");
    assert!(!shown.to_string().contains(&access_key), "{shown}");
    // Another key signs otherwise.
    let wrong = json!({"access-key": "wrong", "log-folder": "elsewhere"});
    setting.admin.ok("gateway-update-log-forwarding-aws-s3", wrong);
    setting.admin.store("/team/b", "v");
    wait_until("the signature to be refused", || {
        setting.state("")["trouble"].to_string().contains("status 403")
    });
    assert!(!moto.objects("audit-logs").keys().any(|name| name.starts_with("elsewhere")));
    for (field, value) in [
        ("auth-type", "instance"),
        ("role-arn", "arn:aws:iam::123456789012:role/deploy"),
        ("bucket-name", "Bad_Bucket"),
        ("log-folder", "../up"),
        ("region", "us east"),
    ] {
        let args = json!({field: value});
        setting.admin.refused(400, "gateway-update-log-forwarding-aws-s3", args);
    }
}

#[test]
fn a_bucket_is_written_as_the_gateways_machine_where_its_operator_allows_it() {
    let moto = Moto::start();
    moto.make_bucket("audit-logs");
    let url = moto.url.clone();
    let by = |how: &str, more: Value| {
        let mut args = json!({
            "auth-type": how, "region": "us-east-1", "bucket-name": "audit-logs",
            "endpoint-url": url, "pull-interval": 1, "log-folder": how, "forwarder-name": how,
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    let role = json!({"role-arn": "arn:aws:iam::123456789012:role/deploy"});
    // Whoever administers an account is not the operator of the machine.
    let lending = |site: &Site, accounts: &str| {
        let mut command = site.server(&site.data());
        command.args(["--lend-cloud-identity", accounts]).envs(moto.machine());
        site.launch(command).ready()
    };
    // Lent to another account of the same gateway, it is not lent to this one.
    let other = format!("acc-{}", "0".repeat(32));
    for setting in [Setting::new(), Setting::on(Site::new(), |site| lending(site, &other))] {
        for args in [by("cloud_id", json!({})), by("assume_role", role.clone())] {
            let text = setting.admin.refused(400, "gateway-update-log-forwarding-aws-s3", args);
            assert!(text.contains("--lend-cloud-identity"), "{text}");
        }
    }
    let setting = Setting::on(Site::new(), |site| {
        let first = site.start();
        let account = first.bootstrap.account_id.clone();
        first.stop();
        lending(site, &format!("{other}, {account}"))
    });
    for (how, args) in
        [("cloud_id", by("cloud_id", json!({}))), ("assume_role", by("assume_role", role))]
    {
        setting.admin.ok("gateway-update-log-forwarding-aws-s3", args);
        setting.admin.store(&format!("/team/{how}"), "v");
        wait_for(&format!("the whole log, written by {how}"), || {
            let objects = moto.objects("audit-logs").into_iter();
            let written = objects.filter(|(name, _)| name.starts_with(how));
            let came = numbers(&written.map(|(_, text)| text).collect::<String>());
            (came == recorded(&setting.site, &setting.server)).then_some(())
        });
    }
    // Trust policies of roles can tell for which account of the gateway it asks.
    let account = &setting.server.bootstrap.account_id;
    let bodies = moto.bodies();
    let ours = |body: &&String| body.contains("RoleSessionName=keysherd");
    let asked: Vec<_> = bodies.iter().filter(ours).collect();
    assert!(!asked.is_empty());
    for body in asked {
        assert!(body.contains(&format!("ExternalId={account}")), "{body}");
        assert!(body.contains(&format!("RoleSessionName=keysherd-{account}")), "{body}");
    }
    // moto lends every role; without it, nobody does.
    drop(moto);
    let other = json!({"role-arn": "arn:aws:iam::123456789012:role/other", "log-folder": "other"});
    setting.admin.ok("gateway-update-log-forwarding-aws-s3", by("assume_role", other));
    setting.admin.store("/team/b", "v");
    wait_until("the role to be refused", || {
        setting.state("assume_role")["trouble"].to_string().contains("does not lend")
    });
    let bad = json!({"role-arn": "deploy"});
    setting.admin.refused(400, "gateway-update-log-forwarding-aws-s3", by("assume_role", bad));
}
