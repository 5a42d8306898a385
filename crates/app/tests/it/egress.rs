//! How a gateway gets out: through a proxy that learns nothing, and what its doctor says of it.

use serde_json::{Value, json};

use crate::kit::{Cluster, ConnectProxy, wait_until};

const CANARY: &str = "proxies-learn-nothing-canary";
const CONTROL: &str = "control.test:8400";

/// A cluster whose gateway reaches everybody by names that only the proxy knows.
struct Behind {
    cluster: Cluster,
    proxy: ConnectProxy,
}

impl Behind {
    fn new() -> Self {
        let proxy = ConnectProxy::start();
        let mut cluster = Cluster::start();
        proxy.lead(CONTROL, &cluster.control.address);
        let at = format!("http://{}", proxy.address);
        let password = cluster.gateway.write_secret("proxy-password", "open sesame\n");
        cluster.gateway.stop();
        let control = cluster.control.address.clone();
        cluster.gateway.replace_arg(&control, CONTROL);
        cluster.gateway.take_args(&["--proxy", &at, "--proxy-user", "gw"]);
        cluster.gateway.take_args(&["--proxy-password-file", &password]);
        for (place, manager) in cluster.managers.iter().enumerate() {
            let name = format!("fm-{}.test:8401", place + 1);
            proxy.lead(&name, &manager.address);
            cluster.gateway.take_args(&["--manager", &format!("{}={name}", place + 1)]);
        }
        cluster.gateway.start(&cluster.site);
        cluster.wait_until_healthy();
        Self { cluster, proxy }
    }

    /// What the doctor says, with its exit code.
    fn doctor(&self) -> (i32, Value) {
        let ended = self
            .cluster
            .gateway
            .run_with_args(&self.cluster.site, &["gateway", "doctor", "--json"]);
        (ended.code, serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}", ended.err)))
    }

    /// The check of this name.
    fn check(&self, name: &str) -> (i32, Value) {
        let (code, said) = self.doctor();
        let mut checks = said["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["name"].as_str().unwrap().starts_with(name));
        (code, found.unwrap_or_else(|| panic!("{name} in {said}")).clone())
    }

    /// Whether somebody can sign in and read.
    fn reads(&self) -> bool {
        let api = self.cluster.nobody();
        let key = &self.cluster.bootstrap;
        let login = json!({"access-id": key.access_id, "access-key": key.access_key});
        let reply = api.call("auth", login);
        if reply.status != 200 {
            return false;
        }
        let api = api.with_token(reply.json()["token"].as_str().unwrap());
        let reply = api.call("get-secret-value", json!({"names": ["/team/proxied"]}));
        reply.status == 200 && reply.json()["/team/proxied"] == CANARY
    }
}

#[test]
fn everything_goes_through_the_proxy_which_learns_nothing_and_can_do_nothing() {
    let behind = Behind::new();
    let Behind { cluster, proxy } = &behind;
    cluster.admin().store("/team/proxied", CANARY);
    assert!(behind.reads());
    let heads = proxy.heads();
    for name in [CONTROL, "fm-1.test:8401", "fm-2.test:8401", "fm-3.test:8401"] {
        let asked = format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n");
        assert!(heads.iter().any(|head| head.starts_with(&asked)), "{name} in {heads:?}");
    }
    // "gw:open sesame".
    let signed = "Proxy-Authorization: Basic Z3c6b3BlbiBzZXNhbWU=\r\n";
    assert!(heads.iter().all(|head| head.contains(signed)), "{heads:?}");
    let recorded = proxy.recorded();
    assert!(recorded.len() > 10_000, "it went through the proxy");
    for secret in [CANARY, "/team/proxied", &cluster.bootstrap.access_key] {
        let found = recorded.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
    let (code, said) = behind.doctor();
    assert_eq!(code, 0, "{said}");
    assert_eq!(behind.check("clock").1["verdict"], "ok");
    assert_eq!(behind.check("identity").1["verdict"], "ok");

    // A proxy that wants something else, that leads elsewhere, that speaks itself.
    let first = &cluster.managers[0].address;
    for (answer, lead, code, step) in [
        (Some("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), None, 69, "status 407"),
        (Some("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), None, 69, "redirects"),
        (Some("HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01hello"), None, 69, "bytes of its own"),
        (None, Some(first), 77, "TLS"),
    ] {
        proxy.refuse(answer);
        proxy.lead(CONTROL, lead.unwrap_or(&cluster.control.address));
        proxy.cut();
        let (ended, control) = behind.check("control at");
        assert_eq!(ended, code, "{control}");
        assert!(control["detail"].as_str().unwrap().contains(step), "{control}");
        assert!(!control["fix"].as_str().unwrap().is_empty());
        assert!(!behind.reads(), "nobody can be asked: {step}");
    }
    proxy.refuse(None);
    proxy.lead(CONTROL, &cluster.control.address);
    wait_until("it to go on by itself", || behind.reads());
    assert_eq!(behind.doctor().0, 0);
}

#[test]
fn endpoints_are_what_the_settings_and_the_bundle_name_and_the_doctor_names_what_is_gone() {
    let mut behind = Behind::new();
    let run = |behind: &Behind, args: &[&str]| {
        behind.cluster.gateway.run_with_args(&behind.cluster.site, args)
    };
    let admin = behind.cluster.admin();
    let person = admin.new_person("/log/reader");
    admin.ok("create-role", json!({"name": "/log/reader", "audit-access": "all"}));
    admin.associate("/log/reader", &person);
    let reader =
        json!({"reader-access-id": person.access_id, "reader-access-key": person.access_key});
    admin.ok("gateway-update-log-reader", reader);
    let target =
        json!({"webhook-url": "https://hooks.test/token-canary", "webhook-secret": CANARY});
    admin.ok("gateway-update-log-forwarding-webhook", target);
    let listed = run(&behind, &["gateway", "endpoints", "--json"]).expect(0).out;
    let said: Value = serde_json::from_str(&listed).unwrap();
    let found = said["endpoints"].as_array().unwrap();
    let places: Vec<String> = found
        .iter()
        .map(|place| {
            format!(
                "{} {}:{}",
                place["protocol"].as_str().unwrap(),
                place["host"].as_str().unwrap(),
                place["port"]
            )
        })
        .collect();
    for wanted in [
        "link control.test:8400",
        "link fm-1.test:8401",
        "link fm-2.test:8401",
        "link fm-3.test:8401",
        "https hooks.test:443",
    ] {
        assert!(places.contains(&wanted.to_owned()), "{wanted} in {places:?}");
    }
    let proxy = format!("http {}", behind.proxy.address);
    assert!(places.contains(&proxy), "{proxy} in {places:?}");
    assert_eq!(places.len(), 6, "{places:?}");
    let proxied = found.iter().filter(|place| place["proxy"].is_string()).count();
    assert_eq!(proxied, 5, "all but the proxy itself: {said}");
    assert!(!listed.contains("token-canary") && !listed.contains(CANARY), "{listed}");
    // Nobody leads to the receiver, and then a manager goes.
    let (code, hook) = behind.check("log target (webhook)");
    assert_eq!((code, &hook["verdict"]), (69, &json!("unreachable")), "{hook}");
    admin.ok("gateway-delete-log-forwarding", json!({}));
    behind.cluster.managers[1].kill();
    let (code, gone) = behind.check("manager 2");
    assert_eq!((code, &gone["verdict"]), (69, &json!("unreachable")), "{gone}");
    assert_eq!(behind.check("manager 1").1["verdict"], "ok");
    // It works on a stopped gateway as well, and before there is one.
    behind.cluster.gateway.stop();
    assert_eq!(behind.check("control at").1["verdict"], "ok");
    let nowhere = behind.cluster.stranger("gateway", "nowhere", &[]);
    let early = nowhere.run_with_args(&behind.cluster.site, &["gateway", "doctor"]).expect(0);
    assert!(early.out.contains("keysherd gateway enroll"), "{}", early.out);
    assert!(early.out.contains("can be connected to"), "{}", early.out);
}
