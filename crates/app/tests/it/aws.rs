//! Signing in with AWS credentials, with moto in the place of AWS: it checks every signature. The
//! cloud-ids are made by the cloud vendor's library and by the official cloud-id package.

use serde_json::{Value, json};

use crate::kit::moto::Moto;
use crate::kit::{Server, Site, finish, keysherd, next_second, records, wait_until};

const ACCOUNT: &str = "123456789012";

fn create(server: &Server, moto: &Moto, name: &str, mut args: Value) -> String {
    args["name"] = name.into();
    args["sts-url"] = moto.url.as_str().into();
    if args["bound-aws-account-id"].is_null() {
        args["bound-aws-account-id"] = json!([ACCOUNT]);
    }
    let made = server.admin().ok("auth-method-create-aws-iam", args);
    made["access_id"].as_str().unwrap().to_owned()
}

fn login(access_id: &str, cloud_id: &Value) -> Value {
    json!({"access-type": "aws_iam", "access-id": access_id, "cloud-id": cloud_id})
}

#[track_caller]
fn enters(server: &Server, access_id: &str, cloud_id: &Value) -> Value {
    let answer = server.nobody().ok("auth", login(access_id, cloud_id));
    let api = server.nobody().with_token(answer["token"].as_str().unwrap());
    api.ok("describe-sub-claims", json!({}))["sub_claims"].take()
}

#[test]
fn aws_identities_sign_in() {
    let (moto, site) = (Moto::start(), Site::new());
    let server = site.start_with(&["--identity-loopback-http"]);
    let access_id = create(&server, &moto, "/aws", json!({}));
    next_second();
    let ids = moto.cloud_ids();
    let user = enters(&server, &access_id, &ids["vendor-user"]);
    assert_eq!(user["account_id"], json!([ACCOUNT]));
    assert_eq!(user["arn"], json!([format!("arn:aws:iam::{ACCOUNT}:user/team/alice")]));
    assert_eq!(user["user_name"], json!(["alice"]));
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/i-0123");
    for made_by in ["vendor-role", "package-role"] {
        let role = enters(&server, &access_id, &ids[made_by]);
        assert_eq!(role["client_unique_id"], json!([session]), "{made_by}");
        assert_eq!(role["role_name"], json!(["deploy"]), "{made_by}");
        assert_eq!(role["resource_id"], json!(["i-0123"]), "{made_by}");
    }
    // A header that was not signed is not sent on and does no harm.
    enters(&server, &access_id, &ids["unsigned-header"]);
    let shown = server.admin().ok("auth-method-get", json!({"name": "/aws"}));
    let rules = &shown["access_info"]["aws_iam_access_rules"];
    assert_eq!(rules["account_id"], json!([ACCOUNT]));
    assert_eq!(rules["sts_endpoint"], moto.url.as_str());
}

#[test]
fn the_command_line_proves_the_identity_of_its_machine() {
    let (moto, site) = (Moto::start(), Site::new());
    let server = site.start_with(&["--identity-loopback-http"]);
    let access_id = create(&server, &moto, "/aws", json!({}));
    next_second();
    let run = |args: &[&str], machine: bool| {
        let mut command = keysherd(&site.home());
        command.args(args).env("KEYSHERD_URL", &server.url);
        command.env("KEYSHERD_CA_FILE", site.data().join("tls/ca.pem"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        if machine {
            command.envs(moto.machine());
        }
        finish(&mut command, b"")
    };
    let login = ["auth", "--access-type", "aws_iam", "--access-id", &access_id, "--json"];
    let answer: Value = serde_json::from_str(&run(&login, true).expect(0).out).unwrap();
    let api = server.nobody().with_token(answer["token"].as_str().unwrap());
    let claims = api.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims["user_name"], json!(["alice"]));
    // Printed, it is what the SDKs send.
    next_second();
    let printed = run(&["get-cloud-identity", "aws_iam"], true).expect(0).out;
    enters(&server, &access_id, &json!(printed.trim()));
    assert!(!printed.contains(&moto.access_key().1));
    let nobody = run(&login, false);
    assert_ne!(nobody.code, 0);
    assert!(nobody.err.contains("this machine has no identity at AWS"), "{}", nobody.err);
    let unknown = run(&["get-cloud-identity", "oracle"], true);
    assert!(unknown.err.contains("give aws_iam, azure_ad or gcp"), "{}", unknown.err);
}

#[test]
fn a_gateway_signs_in_as_its_machine() {
    let (moto, site) = (Moto::start(), Site::new());
    let server = site.start_with(&["--identity-loopback-http"]);
    let wish = json!({"allowed-client-type": ["gateway-admin"]});
    let access_id = create(&server, &moto, "/gateways/aws", wish);
    server.stop();
    let mut command = site.server(&site.data());
    command.args(["--identity-loopback-http", "--cluster-name", "prod"]);
    command.args(["--gateway-access-id", &access_id, "--gateway-access-type", "aws_iam"]);
    let server = site.launch({
        command.envs(moto.machine());
        command
    });
    let server = server.ready();
    let admin = server.admin();
    wait_until("the gateway to be in its cluster", || {
        let listed = admin.ok("list-gateways", json!({}))["clusters"].take();
        listed[0]["status"] == "running"
            && listed[0]["cluster_name"].as_str().unwrap().ends_with(&format!("{access_id}/prod"))
    });
}

#[test]
fn t_aws_attacks() {
    let (moto, site) = (Moto::start(), Site::new());
    let server = site.start_with(&["--identity-loopback-http"]);
    let access_id = create(&server, &moto, "/aws", json!({}));
    next_second();
    let ids = moto.cloud_ids();
    let refused = |what: &str, access_id: &str, cloud_id: &Value| {
        let text = server.nobody().refused(401, "auth", login(access_id, cloud_id));
        assert!(text.contains("authentication failed"), "{what}: {text}");
    };
    let good = ["vendor-user", "vendor-role", "package-role", "hand-user", "unsigned-header"];
    for (what, cloud_id) in ids.as_object().unwrap() {
        if !good.contains(&what.as_str()) {
            refused(what, &access_id, cloud_id);
        }
    }
    // The same by hand is good, so that each of them was refused for what it is called; and once.
    enters(&server, &access_id, &ids["hand-user"]);
    refused("replayed", &access_id, &ids["hand-user"]);
    for garbage in [json!("AAAA"), json!("{}"), json!("x".repeat(20_000))] {
        refused("garbage", &access_id, &garbage);
    }
    let bounds = [
        ("bound-aws-account-id", "210987654321"),
        ("bound-role-name", "build"),
        ("bound-user-name", "*"),
        ("bound-arn", "arn:aws:sts::123456789012:assumed-role/deploy"),
        ("bound-resource-id", "i-0124"),
    ];
    for (field, value) in bounds {
        let other = create(&server, &moto, &format!("/{field}"), json!({ field: [value] }));
        refused(field, &other, &ids["vendor-role"]);
    }
    let fits = json!({"bound-role-name": ["dep*"], "bound-resource-id": ["i-*"]});
    let fitting = create(&server, &moto, "/fitting", fits);
    enters(&server, &fitting, &ids["vendor-role"]);
    let on_record =
        |record: &Value| record["access_id"] == access_id.as_str() && record["status"] == 401;
    assert!(records(&site).iter().any(on_record));
}

#[test]
fn a_service_that_does_not_answer_is_no_wrong_credential() {
    let (moto, site) = (Moto::start(), Site::new());
    let server = site.start_with(&["--identity-loopback-http"]);
    let access_id = create(&server, &moto, "/aws", json!({}));
    next_second();
    let ids = moto.cloud_ids();
    drop(moto);
    server.nobody().refused(503, "auth", login(&access_id, &ids["vendor-user"]));
}
