//! What the listener knows of its clients, what it lets them take, and what it tells Prometheus
//! about them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::python::python;
use crate::kit::{Finished, Server, Site, Stub, finish, wait_for, wait_until};

fn curl(server: &Server, args: &[&str]) -> Finished {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--include", "--max-time", "30", "--cacert"]);
    finish(curl.arg(&server.bootstrap.ca_file).args(args), b"")
}

#[test]
fn the_proxy_protocol_is_demanded_of_proxies_and_taken_from_nobody_else() {
    let site = Site::new();
    let behind = ["--proxy-protocol", "--trusted-proxy", "127.0.0.0/8"];
    let mut command = site.server(&site.data());
    command.args(behind);
    let starting = site.launch(command);
    let url = wait_for("the address", || crate::kit::announced_url(&starting.process.out()));
    let ca = site.data().join("tls/ca.pem");
    let ask = |url: &str, args: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--cacert"]).arg(&ca);
        finish(curl.args(args).arg(format!("{url}/health")), b"")
    };
    wait_until("the server to serve", || ask(&url, &["--haproxy-protocol"]).code == 0);
    assert!(ask(&url, &["--haproxy-protocol"]).out.contains("ok"));
    assert_ne!(ask(&url, &[]).code, 0, "without the header there is no service for a proxy");
    let said = || starting.process.err().contains("sent no good PROXY header");
    wait_until("the log to say so", said);
    drop(starting);
    // Somebody who is no proxy and claims to be one.
    let server = site.start_with(&["--proxy-protocol", "--trusted-proxy", "192.0.2.0/24"]);
    assert_ne!(ask(&server.url, &["--haproxy-protocol"]).code, 0);
    assert!(ask(&server.url, &[]).out.contains("ok"));
    server.stop();
    let mut alone = site.server(&site.data());
    let ended = finish(alone.arg("--proxy-protocol"), b"").expect(64);
    assert!(ended.err.contains("trusted-proxy"), "{}", ended.err);
}

#[test]
fn a_client_is_kept_to_its_rate_and_an_identity_to_its_own() {
    let site = Site::new();
    let mut command = site.server(&site.data());
    command.env("GW_RATE_LIMIT", "60").args(["--identity-requests-per-minute", "20"]);
    command.args(["--trusted-proxy", "127.0.0.0/8"]);
    let server = site.launch(command).ready();
    let admin = server.admin();
    let ask = |token: &str, from: &str| {
        let body = json!({"token": token}).to_string();
        let forwarded = [("X-Forwarded-For", from)];
        server.http.post("/get-account-settings", &forwarded, body.as_bytes())
    };
    // Whoever tries tokens in the name of an identity uses up nothing of it.
    let forged = format!("{}{}", &admin.token()[..60], "0".repeat(admin.token().len() - 60));
    for _ in 0..40 {
        assert_eq!(ask(&forged, "198.51.100.7").status, 401);
    }
    // Neither does what is answered before anybody looks at the token, or whatever it is.
    let body = json!({"token": forged}).to_string();
    for (at, (command, status)) in
        [("get-secret-value", 400), ("validate-token", 200)].into_iter().enumerate()
    {
        for _ in 0..40 {
            let from = format!("198.51.100.{at}");
            let headers = [("X-Forwarded-For", from.as_str())];
            let reply = server.http.post(&format!("/{command}"), &headers, body.as_bytes());
            assert_eq!(reply.status, status, "{command}: {}", reply.text());
        }
    }
    // One comes back each three seconds, from the first one on.
    let (began, mut answered) = (Instant::now(), 0_u64);
    let reply = loop {
        let reply = ask(admin.token(), &format!("203.0.113.{answered}"));
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.status, 200, "{answered}: {}", reply.text());
        answered += 1;
        assert!(answered <= 21 + began.elapsed().as_secs() / 3, "{answered}");
        assert!(answered < 200, "never refused");
    };
    assert!(answered >= 20, "{answered}");
    assert!(reply.error().contains("of this access id"), "{}", reply.error());
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait), "{wait}");
    // An address is counted, whoever it claims to be.
    let mut asked = (0..500).map(|_| ask("t-nobody", "192.0.2.1, 198.51.100.7"));
    let last = asked.find(|reply| reply.status == 429).expect("no limit");
    assert!(last.error().contains("60 requests from 198.51.100.7"), "{}", last.error());
    assert_eq!(curl(&server, &[&format!("{}/health", server.url)]).code, 0);
    assert!(server.process.err().contains("refused with 429"));
}

#[test]
fn all_tokens_of_one_universal_identity_have_one_share() {
    let site = Site::new();
    let server = site.start_with(&["--identity-requests-per-minute", "5"]);
    let (admin, nobody) = (server.admin(), server.nobody());
    let method = json!({"name": "/machines", "ttl": 30});
    admin.ok("auth-method-create-universal-identity", method);
    let made = admin.ok("uid-generate-token", json!({"auth-method-name": "/machines"}));
    let root = made["token"].as_str().unwrap().to_owned();
    let child = || {
        let made = nobody.ok("uid-create-child-token", json!({"uid-token": root}));
        made["token"].as_str().unwrap().to_owned()
    };
    let began = Instant::now();
    let children = [child(), child()];
    let login = json!({"access-type": "universal_identity", "uid-token": root});
    let exchanged = nobody.ok("auth", login)["token"].as_str().unwrap().to_owned();
    let ask = |token: &str| {
        let field = if token.starts_with("u-") { "uid-token" } else { "token" };
        nobody.call("describe-sub-claims", json!({ (field): token }))
    };
    for child in [&children[0], &children[1], &children[0]] {
        assert_eq!(ask(child).status, 200);
    }
    // It is used up for all of them, for one that nobody used before, and for what it leads to.
    let mut more = 0;
    for token in [&children[0], &root, &exchanged] {
        let reply = loop {
            let reply = ask(token);
            // One comes back each twelve seconds.
            if reply.status != 200 {
                break reply;
            }
            more += 1;
            assert!(more <= 1 + began.elapsed().as_secs() / 12, "{more} more");
        };
        assert_eq!(reply.status, 429, "{}", reply.text());
        assert!(reply.error().contains("of this access id"), "{}", reply.error());
    }
    admin.ok("get-account-settings", json!({}));
}

/// What Prometheus's own parser makes of a text, as JSON: names with kinds, and all samples.
const PARSE: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(set(names)) == len(names), "a metric is there twice"
print(json.dumps([[s.name, s.labels, s.value] for f in families for s in f.samples]))
"#;

/// Where a process that logged this serves its metrics.
pub(crate) fn metrics_address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("metrics are served"))?;
    Some(line.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
}

/// The samples that Prometheus's own parser finds in a text, by name and labels in JSON.
pub(crate) fn samples(text: &str) -> BTreeMap<(String, String), f64> {
    let python = python("prometheus_client-0.26.0", &["prometheus_client==0.26.0"]);
    let parsed = finish(Command::new(&python).args(["-c", PARSE]), text.as_bytes()).expect(0).out;
    let samples: Vec<(String, Value, f64)> = serde_json::from_str(&parsed).unwrap();
    samples.into_iter().map(|(name, labels, value)| ((name, labels.to_string()), value)).collect()
}

#[test]
fn metrics_are_what_prometheus_reads_and_name_no_secret() {
    let site = Site::new();
    let server = site.start_with(&["--metrics-listen", "127.0.0.1:0", "--metrics-plaintext"]);
    let admin = server.admin();
    admin.store("/payroll/database", "hunter2");
    for _ in 0..20 {
        admin.read("/payroll/database");
    }
    admin.call("get-secret-value", json!({"names": ["/absent/thing"]}));
    server.http.post("/payroll-guess", &[], b"{}");
    let address = wait_for("the address of metrics", || metrics_address(&server.process.err()));
    let scrape = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", &format!("http://{address}/metrics")]);
        finish(&mut curl, b"").expect(0).out
    };
    let text = scrape();
    for secret in ["payroll", "hunter2", "absent", admin.token(), &server.bootstrap.access_id] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
    let found = samples(&text);
    let value = |name: &str, labels: Value| {
        let found = found.get(&(name.to_owned(), labels.to_string()));
        *found.unwrap_or_else(|| panic!("{name} {labels} is not in {text}"))
    };
    let reads = json!({"command": "get-secret-value", "status": "2xx"});
    assert_eq!(value("keysherd_http_requests_total", reads), 20.0);
    let none = || json!({});
    assert_eq!(value("keysherd_ready", none()), 1.0);
    assert!(value("process_resident_memory_bytes", none()) > 1e6);
    assert!(value("keysherd_tls_certificate_expiry_timestamp_seconds", none()) > 1.7e9);
    assert!(value("keysherd_manager_answers_total", json!({"manager": "1"})) > 0.0);
    for name in [
        "keysherd_http_request_seconds_count",
        "akeyless_gw_system_cpu_usage_percent",
        "akeyless_gw_system_cpu_load_average_1m",
        "akeyless_gw_system_memory_usage_in_bytes",
        "akeyless_gw_system_network_io_receive_bytes",
        "akeyless_gw_system_saas_connection_status",
        "akeyless_gw_system_healthcheck_status",
        "akeyless_gw_system_request_count_total",
    ] {
        assert!(value(name, none()) >= 0.0);
    }
    let ok = json!({"status_code": "200"});
    assert!(value("akeyless_gw_system_http_response_status_code_total", ok) > 20.0);
    // So they are while requests run.
    std::thread::scope(|scope| {
        let load = scope.spawn(|| (0..200).for_each(|_| drop(admin.read("/payroll/database"))));
        while !load.is_finished() {
            let name = "keysherd_http_requests_in_flight".to_owned();
            assert!(samples(&scrape()).contains_key(&(name, "{}".to_owned())));
        }
    });
    // They are there and nowhere else.
    assert_eq!(server.http.get("/metrics").unwrap().status, 404);
}

#[test]
fn metrics_are_served_with_tls_unless_told_otherwise() {
    let site = Site::new();
    let server = site.start_with(&["--metrics-listen", "127.0.0.1:0"]);
    let address = wait_for("the address of metrics", || metrics_address(&server.process.err()));
    let secure = curl(&server, &[&format!("https://{address}/metrics")]).expect(0);
    assert!(secure.out.contains("keysherd_build_info"), "{}", secure.out);
    let clear = curl(&server, &[&format!("http://{address}/metrics")]);
    assert!(clear.out.contains("speaks TLS") && !clear.out.contains("build_info"), "{clear:?}");
    server.stop();
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let site = Site::new();
    let server = site.start_with(&["--drain-seconds", "600", "--drain-delay-seconds", "600"]);
    let mut stuck = server.http.connect().unwrap();
    let head = stuck.head("POST", "/create-secret", &[], Some(1_000));
    stuck.send(&[&head[..], b"{"].concat()).unwrap();
    assert_eq!(server.http.get("/health").unwrap().status, 200);
    server.process.signal(Signal::TERM);
    wait_until("it to be not ready", || server.http.get("/health").unwrap().status == 503);
    assert!(server.admin().token().starts_with("t-"), "until the end of the delay it serves on");
    assert_eq!(server.http.get("/status").unwrap().status, 200, "it is alive");
    let asked = Instant::now();
    server.process.signal(Signal::TERM);
    wait_until("the connection to end", || stuck.is_closed());
    assert_eq!(server.process.wait(), 0);
    assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
}

#[test]
fn traces_go_to_a_collector_and_have_no_secret_in_them() {
    let site = Site::new();
    let collector = Stub::json(|_| (200, json!({})));
    let ca = site.path("collector.pem");
    std::fs::write(&ca, &collector.ca_pem).unwrap();
    let headers = site.path("headers");
    std::fs::write(&headers, "api-key=for-the-collector\n").unwrap();
    std::fs::set_permissions(&headers, std::fs::Permissions::from_mode(0o600)).unwrap();
    let [ca, headers] = [&ca, &headers].map(|file| file.to_str().unwrap());
    let to = ["--traces-url", &collector.url, "--traces-ca", ca, "--traces-headers-file", headers];
    let server = site.start_with(&[&to[..], &["--traces-ratio", "1"]].concat());
    let admin = server.admin();
    admin.store("/payroll/database", "hunter2");
    let body = json!({"names": ["/payroll/database"], "token": admin.token()}).to_string();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = server.http.post("/get-secret-value", &[("traceparent", parent)], body.as_bytes());
    assert_eq!(reply.status, 200);
    let mut all = Vec::new();
    let span = wait_for("the span of the reading", || {
        all.extend(collector.asked());
        let spans = all.iter().flat_map(|asked| {
            asked.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        });
        spans.into_iter().find(|span| span["name"] == "get-secret-value")
    });
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(span["attributes"][1]["value"]["stringValue"], reply.request_id());
    for asked in &all {
        assert_eq!(asked.line, "POST /v1/traces");
        assert_eq!(asked.header("api-key"), Some("for-the-collector"));
        let text = String::from_utf8_lossy(&asked.body).into_owned();
        for secret in ["payroll", "hunter2", admin.token(), &server.bootstrap.access_id] {
            assert!(!text.contains(secret), "{secret} is in a trace: {text}");
        }
    }
    // A collector that is gone holds nobody up.
    drop(collector);
    assert_eq!(admin.read("/payroll/database"), "hunter2");
    server.stop();
    let mut wrong = site.server(&site.data());
    let ended = finish(wrong.args(["--traces-url", "https://x", "--traces-ratio", "2"]), b"");
    assert!(ended.expect(64).err.contains("traces-ratio is '2'"));
}
