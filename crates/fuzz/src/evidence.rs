//! What bearers of the auth-method family present, and settings that came from a gateway.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_authn::{Attempt, Entrant, Web, World};
use keysherd_base::{AccessId, FaultKind, ManualClock, Secret, Timestamp};
use keysherd_crypto::pki::{LocalCa, self_signed};
use keysherd_crypto::sign::SigningKey;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::randomness::Sequence;

/// 2026-01-05T10:11:12Z
const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);
const UNTIL: Timestamp = NOW.plus_seconds(86_400);
/// Nothing is ever sent there: it is no https address, and no setting allows others.
const NOWHERE: &str = "http://127.0.0.1:1";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().build();
    built.expect("invariant: a runtime without threads can be made")
});

static AUTHORITY: LazyLock<LocalCa> = LazyLock::new(|| {
    LocalCa::create("fuzz", NOW, UNTIL, &Sequence::new(1)).expect("invariant: names and times fit")
});

/// The kinds whose evidence is tried, and settings of a method of each.
fn settings() -> [(&'static str, Value); 4] {
    let caller = |account: &str| {
        let bounds = json!([[account], [], [], [], [], [], []]);
        json!({"sts_url": NOWHERE, "unique_identifier": null, "bounds": bounds})
    };
    let cert = json!({
        "unique_identifier": "common_name", "authorities": AUTHORITY.cert_pem(),
        "common_names": [], "dns": [], "emails": [], "uris": [], "units": [], "extensions": [],
        "revoked": ["1"], "require_crl": true,
    });
    let bounds = json!([["d"], [], [], [], [], []]);
    [
        ("aws_iam", caller("123456789012")),
        ("alicloud", caller("1234567890123456")),
        ("cert", cert),
        ("huawei", json!({"auth_url": NOWHERE, "bounds": bounds})),
    ]
}

/// The first byte says whose: nobody comes in, and what cannot be read is a refusal and no defect.
/// Settings that pass their check can be shown.
pub fn evidence(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    for member in keysherd_authn::all() {
        if member.check(&text).is_ok() {
            assert!(member.show(&text).is_ok(), "{}", member.kind().name);
        }
    }
    let known = settings();
    let (kind, settings) = &known[usize::from(*which) % known.len()];
    let member = keysherd_authn::by_kind(kind).expect("invariant: the kinds exist");
    let settings = settings.to_string();
    assert!(member.check(&settings).is_ok(), "{kind}");
    let access_id = AccessId::parse("p-aaaaaaaaaaaaaa").expect("invariant: an access id");
    let attempt = Attempt {
        settings: &settings,
        evidence: &text,
        access_id: &access_id,
        admitted: Some(Entrant::Person("alice")),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        delimiters: &[],
        now: NOW,
    };
    let clock = Arc::new(ManualClock::new(NOW));
    let world = World::new(clock, Arc::new(Sequence::new(3)), Web::default());
    let outcome = RUNTIME.block_on(member.verify(attempt, &world));
    let refused = outcome.expect_err("nobody may come in");
    let expected = [FaultKind::Unauthorized, FaultKind::Unavailable];
    assert!(expected.contains(&refused.kind()), "{kind}: {refused:?}");
}

fn form(method: &str, url: &str, body: &str, headers: &Value) -> Vec<u8> {
    let form = json!({
        "sts_request_method": method,
        "sts_request_url": STANDARD.encode(url),
        "sts_request_body": STANDARD.encode(body),
        "sts_request_headers": STANDARD.encode(headers.to_string()),
    });
    STANDARD.encode(form.to_string()).into_bytes()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=AKIA/20260105/us-east-1/sts/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    let headers = json!({
        "Authorization": [signed], "X-Amz-Date": ["20260105T101112Z"],
        "Content-Type": ["application/x-www-form-urlencoded"],
    });
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let aws = form("POST", &format!("{NOWHERE}/"), body, &headers);
    let query = "Action=GetCallerIdentity&Format=JSON&Signature=s&SignatureNonce=n&\
                 Timestamp=2026-01-05T10%3A11%3A12Z&Version=2015-04-01";
    let ali = form("POST", &format!("{NOWHERE}/?{query}"), "", &json!({}));
    let tokens = json!({"X-Auth-Token": ["t"], "X-Subject-Token": ["t"]});
    let huawei = form("GET", &format!("{NOWHERE}/auth/tokens"), "", &tokens);
    let key = SigningKey::from_seed(&Secret::new([3; 32]));
    let names = ["localhost".to_owned()];
    let issued = self_signed(&key, "client", &names, NOW, UNTIL, &Sequence::new(2))
        .expect("invariant: names and times fit");
    let der: String = issued.cert_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let cert = json!({"certificates": [der], "challenge": "AAAA", "signature": "AAAA"});
    let first = |which: u8, evidence: Vec<u8>| [vec![which], evidence].concat();
    let mut seeds = vec![first(0, aws), first(1, ali), first(2, cert.to_string().into_bytes())];
    seeds.push(first(3, huawei));
    seeds.extend(settings().map(|(_, settings)| first(0, settings.to_string().into_bytes())));
    seeds
}
