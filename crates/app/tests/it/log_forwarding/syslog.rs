//! Syslog with a real rsyslog: over TCP, UDP and TLS, with CEF, with a receiver that dies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Setting, recorded};
use crate::kit::{Rsyslog, wait_for, wait_until};

fn number(message: &str) -> u64 {
    let mark = if message.contains("CEF:0") { "externalId=" } else { "seq_num=" };
    let at = message.split(mark).nth(1).unwrap_or_else(|| panic!("{message}"));
    let digits: String = at.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Waits until what came this way is what is in the log; gives how much came twice.
fn wait_for_all(setting: &Setting, rsyslog: &Rsyslog, way: &str) -> usize {
    wait_for(&format!("the whole log over {way}"), || {
        let came: Vec<u64> = rsyslog.messages(way).iter().map(|line| number(line)).collect();
        let set: BTreeSet<u64> = came.iter().copied().collect();
        (set == recorded(&setting.site, &setting.server)).then_some(came.len() - set.len())
    })
}

fn target(port: u16, more: Value) -> Value {
    let mut args = json!({"host": format!("127.0.0.1:{port}"), "pull-interval": "1"});
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    args
}

#[test]
fn syslog_takes_every_record_over_tcp_udp_and_tls() {
    let setting = Setting::new();
    let mut rsyslog = Rsyslog::start();
    let targets = [
        ("tcp", target(rsyslog.tcp, json!({"forwarder-name": "tcp", "formatter": "cef"}))),
        ("udp", target(rsyslog.udp, json!({"forwarder-name": "udp", "network": "udp"}))),
        (
            "tls",
            target(
                rsyslog.tls,
                json!({
                    "forwarder-name": "tls", "enable-tls": true, "target-tag": "vault",
                    "tls-certificate": rsyslog.ca_pem,
                }),
            ),
        ),
    ];
    for (_, target) in &targets {
        setting.admin.ok("gateway-update-log-forwarding-syslog", target.clone());
    }
    for number in 0..600 {
        setting.admin.refused(404, "describe-item", json!({"name": format!("/no/{number}")}));
    }
    for way in ["udp", "tcp", "tls"] {
        assert_eq!(wait_for_all(&setting, &rsyslog, way), 0, "{way}: nothing came twice");
    }
    let first = |way: &str| rsyslog.messages(way).swap_remove(0);
    assert!(first("udp").starts_with("<110>1 "), "{}", first("udp"));
    assert!(first("udp").contains("Z - audit-export - audit - "), "{}", first("udp"));
    assert!(first("tls").contains("Z - vault - audit - "), "{}", first("tls"));
    assert!(first("tcp").contains("CEF:0|Keysherd|Keysherd|"), "{}", first("tcp"));
    let shown = setting.admin.ok("gateway-get-log-forwarding", json!({"forwarder-name": "tls"}));
    assert_eq!(shown["target_log_type"], "syslog");
    assert_eq!(shown["syslog_config"]["syslog_enable_tls"], true);
    // Down, up again.
    rsyslog.kill();
    setting.admin.store("/while/down", "v");
    for way in ["tcp", "tls"] {
        wait_until("the end to be noticed", || !setting.state(way)["trouble"].is_null());
    }
    rsyslog.go_on();
    for way in ["tcp", "tls"] {
        wait_for_all(&setting, &rsyslog, way);
    }
}

#[test]
fn a_receiver_that_somebody_else_vouches_for_gets_nothing() {
    let setting = Setting::new();
    let (rsyslog, other) = (Rsyslog::start(), Rsyslog::start());
    let with = |more: Value| target(rsyslog.tls, more);
    let wrong = with(json!({"forwarder-name": "wrong", "tls-certificate": other.ca_pem}));
    let none = with(json!({"forwarder-name": "none", "enable-tls": "true"}));
    for args in [&wrong, &none] {
        setting.admin.ok("gateway-update-log-forwarding-syslog", args.clone());
    }
    for name in ["wrong", "none"] {
        wait_until("the certificate to be refused", || {
            let trouble = setting.state(name)["trouble"].to_string();
            trouble.contains("ertificate")
        });
    }
    assert_eq!(rsyslog.messages("tls"), Vec::<String>::new());
    // Nor with logstash, nor without TLS to a receiver that wants it.
    let args = json!({
        "dns": format!("127.0.0.1:{}", rsyslog.tls), "forwarder-name": "plain",
        "pull-interval": 1,
    });
    setting.admin.ok("gateway-update-log-forwarding-logstash", args);
    wait_until("it to fail", || !setting.state("plain")["trouble"].is_null());
    assert_eq!(rsyslog.messages("tls"), Vec::<String>::new());
    for (field, value) in [
        ("host", "logs.example:no"),
        ("host", "a b:514"),
        ("network", "sctp"),
        ("formatter", "xml"),
        ("target-tag", "with space"),
    ] {
        let mut args = target(1, json!({}));
        args[field] = value.into();
        setting.admin.refused(400, "gateway-update-log-forwarding-syslog", args);
    }
    let udp = target(1, json!({"network": "udp", "enable-tls": true}));
    setting.admin.refused(400, "gateway-update-log-forwarding-syslog", udp);
}
