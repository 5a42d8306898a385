//! Users of Oracle's cloud. There is no identity service to be had: what answers here checks
//! signatures as Oracle's documentation has them (draft-cavage-http-signatures), and is itself
//! held against a request that Oracle's SDK signed.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::openssl::{rsa_key, sign};
use crate::kit::{Asked, Server, Site, Stub, finish, json_answer, next_second};

const TENANT: &str = "ocid1.tenancy.oc1..aaaatenant";
const ALICE: &str = "ocid1.user.oc1..aaaalice";
const BOB: &str = "ocid1.user.oc1..aaaabob";
const OPS: &str = "ocid1.group.oc1..aaaaops";
const FINGERPRINT: &str = "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34";
const PATH: &str = "/20160918/userGroupMemberships";

/// What the `Signer` of Oracle's Python SDK 2.189.0 signed with the private half of
/// `oracle/recorded.pem`.
const RECORDED: &str = "\
date: Sun, 22 Nov 2026 03:14:00 GMT\r
host: identity.eu-frankfurt-1.oraclecloud.com\r
content-type: application/json\r
authorization: Signature algorithm=\"rsa-sha256\",headers=\"date (request-target) host\",\
keyId=\"ocid1.tenancy.oc1..aaaatenant/ocid1.user.oc1..aaaauser/\
20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34\",signature=\"\
yRBx95VshHuAls6XJjMw9g+t+Jf0NYYhZihChNTln4PUKrn3tUI9cupntDNAjfQA09nqyjx46orsRxQLs4Z14yifnJ\
XzInD3o+1vYPi1gG8ThMSSJKvC29z0aIEJlLKF8HZsSJXwbdi5/SvoNomiBysaRiE3ga65iv6IHLPDBYZhB+/04Hwm\
mUZT+2B2/R5cHih6wXHiSkCFKS27WuNOWdl1yxBKn/uc9rbQd69Y5ONeqLGzDEShj5qABbSsdcfuugLveeiBs1zt9X\
F9BnPJQy5OpY3tA/VMG3FBnIbBvV7HRicjWERrOutOoobHMWoWRq1wCVijJlQCINPwfh8x/g==\
\",version=\"1\"\r
";
const RECORDED_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oracle/recorded.pem");

/// A field of an HTTP signature.
fn field<'a>(authorization: &'a str, name: &str) -> &'a str {
    let (_, rest) = authorization.split_once(&format!("{name}=\"")).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}

/// Whether the signature of a request is that of the key whose public half is in a file.
fn is_signed(asked: &Asked, key: &Path) -> bool {
    let authorization = asked.header("authorization").unwrap_or_default();
    let (method, target) = asked.line.split_once(' ').unwrap();
    let signed: Vec<String> = field(authorization, "headers")
        .split(' ')
        .map(|name| match name {
            "(request-target)" => format!("{name}: {} {target}", method.to_lowercase()),
            _ => format!("{name}: {}", asked.header(name).unwrap_or_default()),
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let signature = dir.path().join("signature");
    std::fs::write(&signature, STANDARD.decode(field(authorization, "signature")).unwrap())
        .unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-verify"]).arg(key).arg("-signature").arg(signature);
    finish(&mut openssl, signed.join("\n").as_bytes()).code == 0
}

#[test]
fn the_stand_in_checks_signatures_as_oracles_own_client_makes_them() {
    let user = "ocid1.user.oc1..aaaauser";
    let line = format!("GET {PATH}?compartmentId={TENANT}&userId={user}");
    let recorded = Asked { line, head: RECORDED.to_owned(), body: Vec::new() };
    assert!(is_signed(&recorded, Path::new(RECORDED_KEY)));
    for (from, to) in [("03:14:00", "03:14:01"), ("eu-frankfurt-1", "eu-zurich-1")] {
        let head = RECORDED.replace(from, to);
        assert!(!is_signed(&Asked { head, ..recorded.clone() }, Path::new(RECORDED_KEY)), "{to}");
    }
    let line = recorded.line.replace(user, ALICE);
    assert!(!is_signed(&Asked { line, ..recorded }, Path::new(RECORDED_KEY)));
}

/// A server whose method lets members of `OPS` in, and a stand-in that knows the key of Alice.
struct Setting {
    site: Site,
    server: Server,
    service: Stub,
    access_id: String,
    /// What the service says about memberships.
    groups: Arc<Mutex<Value>>,
}

fn membership(user: &str, group: &str, state: &str) -> Value {
    json!({
        "id": "ocid1.membership.oc1..x", "compartmentId": TENANT, "userId": user,
        "groupId": group, "lifecycleState": state, "timeCreated": "2026-01-01T00:00:00Z",
    })
}

impl Setting {
    fn new() -> Self {
        let site = Site::new();
        let (key, public) = (site.path("alice.key"), site.path("alice.pub"));
        rsa_key(&key);
        let mut openssl = Command::new("openssl");
        finish(openssl.args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public), b"")
            .expect(0);
        let groups = Arc::new(Mutex::new(json!([membership(ALICE, OPS, "ACTIVE")])));
        let told = groups.clone();
        let service = Stub::json(move |asked| {
            let key = format!("keyId=\"{TENANT}/{ALICE}/{FINGERPRINT}\"");
            let named = asked.header("authorization").is_some_and(|text| text.contains(&key));
            if named && is_signed(asked, &public) {
                return (200, told.lock().unwrap().clone());
            }
            let message = "The required information to complete authentication was not provided.";
            (401, json!({"code": "NotAuthenticated", "message": message}))
        });
        let ca = site.path("oracle.pem");
        std::fs::write(&ca, &service.ca_pem).unwrap();
        let args = ["--identity-ca-file", ca.to_str().unwrap(), "--oci-identity-url", &service.url];
        let server = site.start_with(&args);
        next_second();
        let method = json!({"name": "/oci", "tenant-ocid": TENANT, "group-ocid": [OPS]});
        let made = server.admin().ok("auth-method-create-oci", method);
        let access_id = made["access_id"].as_str().unwrap().to_owned();
        Self { site, server, service, access_id, groups }
    }

    /// A question about somebody's groups, signed with Alice's key, `ago` seconds ago.
    fn question(&self, user: &str, ago: u64) -> Question {
        let host = self.service.url.strip_prefix("https://").unwrap().to_owned();
        let mut date = Command::new("date");
        date.args(["-u", "+%a, %d %b %Y %H:%M:%S GMT", "-d", &format!("-{ago} seconds")]);
        let date = finish(date.env("LC_ALL", "C"), b"").expect(0).out.trim().to_owned();
        let target = format!("{PATH}?compartmentId={TENANT}&userId={user}");
        let text = format!("date: {date}\n(request-target): get {target}\nhost: {host}");
        let signature = STANDARD.encode(sign(&self.site.path("alice.key"), text.as_bytes()));
        let authorization = format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"date (request-target) host\",\
             keyId=\"{TENANT}/{user}/{FINGERPRINT}\",signature=\"{signature}\",version=\"1\""
        );
        Question { url: format!("https://{host}{target}"), date, authorization }
    }

    fn login(&self, question: &Question) -> Value {
        json!({
            "access-type": "oci", "access-id": self.access_id, "cloud-id": question.cloud_id(),
        })
    }

    /// Demands a status; whether the service was asked is `sent`.
    #[track_caller]
    fn refused(&self, status: u16, question: &Question, sent: bool) {
        self.service.asked();
        self.server.nobody().refused(status, "auth", self.login(question));
        assert_eq!(!self.service.asked().is_empty(), sent, "{}", question.url);
    }
}

/// What a client gives as `cloud-id`.
#[derive(Clone)]
struct Question {
    url: String,
    date: String,
    authorization: String,
}

impl Question {
    fn cloud_id(&self) -> String {
        let headers = json!({
            "Date": [self.date], "Authorization": [self.authorization],
            "Host": ["elsewhere.example"], "opc-obo-token": ["somebody"],
        });
        let form = json!({
            "sts_request_method": "GET", "sts_request_url": STANDARD.encode(&self.url),
            "sts_request_body": "", "sts_request_headers": STANDARD.encode(headers.to_string()),
        });
        STANDARD.encode(form.to_string())
    }
}

#[test]
fn a_user_of_oracles_cloud_signs_in_with_an_api_key() {
    let setting = Setting::new();
    let question = setting.question(ALICE, 0);
    let answer = setting.server.nobody().ok("auth", setting.login(&question));
    let bearer = setting.server.nobody().with_token(answer["token"].as_str().unwrap());
    let claims = bearer.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims["user_ocid"], json!([ALICE]), "{claims}");
    assert_eq!(claims["client_unique_id"], json!([ALICE]));
    assert_eq!((&claims["tenant_ocid"], &claims["group_ocid"]), (&json!([TENANT]), &json!([OPS])));
    let asked = setting.service.asked();
    let heads: String = asked.iter().map(|one| one.head.to_lowercase()).collect();
    assert!(!heads.contains("opc-obo-token") && !heads.contains("elsewhere.example"), "{heads}");
    // Once.
    setting.refused(401, &question, true);
    let groups = |told: Value| *setting.groups.lock().unwrap() = told;
    for told in [
        json!([]),
        json!([membership(ALICE, OPS, "DELETED")]),
        json!([membership(ALICE, "ocid1.group.oc1..aaaaother", "ACTIVE")]),
        json!([membership(BOB, OPS, "ACTIVE")]),
        json!({"code": "x"}),
    ] {
        groups(told);
        setting.refused(401, &setting.question(ALICE, 1), true);
    }
    setting.service.answer(json_answer(|_| (503, json!({"code": "ServiceUnavailable"}))));
    setting.refused(503, &setting.question(ALICE, 2), true);
}

#[test]
fn questions_that_were_changed_or_go_elsewhere_open_nothing() {
    let setting = Setting::new();
    let good = setting.question(ALICE, 0);
    let with = |from: &str, to: &str| {
        let mut changed = good.clone();
        for part in [&mut changed.url, &mut changed.date, &mut changed.authorization] {
            *part = part.replace(from, to);
        }
        changed
    };
    // Signed by a key that the service does not know for them.
    setting.refused(401, &setting.question(BOB, 0), true);
    setting.refused(401, &with(ALICE, BOB), true);
    let mut later = good.clone();
    later.date = setting.question(ALICE, 60).date;
    setting.refused(401, &later, true);
    setting.refused(401, &with("signature=\"", "signature=\"AAAA"), true);
    // These do not leave.
    setting.refused(401, &setting.question(ALICE, 3_600), false);
    setting.refused(401, &with(TENANT, "ocid1.tenancy.oc1..aaaaother"), false);
    setting.refused(401, &with(PATH, "/20160918/users"), false);
    setting.refused(401, &with("127.0.0.1", "localhost"), false);
    setting.refused(401, &with("date (request-target)", "date"), false);
    let mut about_bob = good.clone();
    about_bob.url = about_bob.url.replace(ALICE, BOB);
    setting.refused(401, &about_bob, false);
    let port = good.url.split([':', '/']).nth(4).unwrap();
    let public = format!("127.0.0.1:{port}");
    setting.refused(401, &with(&public, "identity.eu-frankfurt-1.oraclecloud.com"), false);
    for kind in ["instance", "resource"] {
        let mut login = setting.login(&good);
        login["oci-auth-type"] = kind.into();
        setting.server.nobody().refused(400, "auth", login);
    }
    setting.server.nobody().ok("auth", setting.login(&good));
}
