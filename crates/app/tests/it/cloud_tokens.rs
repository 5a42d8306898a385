//! Signing in with tokens of clouds: Azure AD and Google, whose keys a server on this machine has.
//!
//! The cloud identity is what the official cloud-id packages make of a token of the metadata
//! service: base64 of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::issued_tokens::provider::Provider;
use crate::issued_tokens::tokens::{TokenKey, key_set};
use crate::kit::{Api, Server, Site};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

struct Cloud {
    site: Site,
    issuer: Provider,
    key: TokenKey,
}

impl Cloud {
    fn new() -> Self {
        let (site, issuer) = (Site::new(), Provider::new());
        let key = TokenKey::new("RS256", "cloud-key");
        issuer.answer("/keys", 200, &key_set(&[&key]));
        Self { site, issuer, key }
    }

    fn keys_uri(&self) -> String {
        format!("{}/keys", self.issuer.url)
    }

    fn start(&self) -> Server {
        let uri = self.keys_uri();
        self.site.start_with(&["--identity-loopback-http", "--google-keys-uri", &uri])
    }
}

fn login(kind: &str, access_id: &str, cloud_id: &str) -> Value {
    json!({"access-type": kind, "access-id": access_id, "cloud-id": cloud_id})
}

fn claims_seen(server: &Server, login: Value) -> Value {
    let answer = server.nobody().ok("auth", login);
    let api: Api = server.nobody().with_token(answer["token"].as_str().unwrap());
    api.ok("describe-sub-claims", json!({}))["sub_claims"].take()
}

#[test]
fn an_azure_identity_signs_in_from_its_resource_only() {
    let cloud = Cloud::new();
    let server = cloud.start();
    let admin = server.admin();
    let mut args = json!({
        "name": "/azure", "bound-tenant-id": TENANT, "jwks-uri": cloud.keys_uri(),
        "bound-rg-id": ["rg-1"], "bound-providers": ["Microsoft.Compute"],
        // What official clients send for everything nobody named.
        "issuer": "https://sts.windows.net/---bound_tenant_id---",
        "audience": "https://management.azure.com/",
    });
    let made = admin.ok("auth-method-create-azure-ad", args.clone());
    let id = made["access_id"].as_str().unwrap();
    let shown = admin.ok("auth-method-get", json!({"name": "/azure"}));
    let rules = &shown["access_info"]["azure_ad_access_rules"];
    assert_eq!(rules["bound_tenant_id"], TENANT, "{shown}");
    assert_eq!(rules["issuer"], format!("https://sts.windows.net/{TENANT}/"));
    assert_eq!(rules["bound_resource_groups"], json!(["rg-1"]));
    assert_eq!(shown["access_info"]["rules_type"], "azure_ad");
    let machine = |group: &str| {
        format!(
            "/subscriptions/s/resourcegroups/{group}/providers/Microsoft.Compute/\
             virtualMachines/vm"
        )
    };
    let token = |tenant: &str, group: &str| {
        cloud.key.sign(&json!({
            "iss": format!("https://sts.windows.net/{tenant}/"), "tid": tenant, "oid": "object",
            "aud": "https://management.azure.com/", "sub": "subject",
            "exp": SystemClock.now().seconds() + 600, "xms_mirid": machine(group),
        }))
    };
    let good = token(TENANT, "rg-1");
    for cloud_id in [STANDARD.encode(&good), good.clone()] {
        let seen = claims_seen(&server, login("azure_ad", id, &cloud_id));
        assert_eq!(seen["client_unique_id"], json!(["object"]), "{seen}");
        assert_eq!(seen["xms_mirid"], json!([machine("rg-1")]), "{seen}");
    }
    for bad in [
        token("another-tenant", "rg-1"),
        token(TENANT, "rg-2"),
        TokenKey::new("RS256", "cloud-key").sign(&json!({"tid": TENANT})),
        "not.a.token".to_owned(),
    ] {
        let refused = login("azure_ad", id, &STANDARD.encode(&bad));
        server.nobody().refused(401, "auth", refused);
    }
    for wrong in ["jwt", "gcp", "access_key"] {
        let mut args = login(wrong, id, &STANDARD.encode(&good));
        args["jwt"] = good.clone().into();
        args["access-key"] = "x".into();
        server.nobody().refused(401, "auth", args);
    }
    args["bound-rg-id"] = json!(["rg-2"]);
    admin.ok("auth-method-update-azure-ad", args.clone());
    server.nobody().refused(401, "auth", login("azure_ad", id, &STANDARD.encode(&good)));
    // Tokens for an application of one's own, which open nothing of Azure's.
    args["bound-rg-id"] = json!(["rg-1"]);
    args["audience"] = "api://keysherd".into();
    admin.ok("auth-method-update-azure-ad", args);
    let own = cloud.key.sign(&json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "tid": TENANT, "oid": "object",
        "aud": "api://keysherd", "sub": "subject",
        "exp": SystemClock.now().seconds() + 600, "xms_mirid": machine("rg-1"),
    }));
    let seen = claims_seen(&server, login("azure_ad", id, &STANDARD.encode(&own)));
    assert_eq!(seen["client_unique_id"], json!(["object"]), "{seen}");
    server.nobody().refused(401, "auth", login("azure_ad", id, &STANDARD.encode(&good)));
}

#[test]
fn a_google_machine_signs_in_from_its_project_only() {
    let cloud = Cloud::new();
    let server = cloud.start();
    let admin = server.admin();
    let args = json!({
        "name": "/google", "type": "gce", "audience": "vault.example",
        "bound-projects": ["proj-1"], "bound-regions": ["europe-west1"],
    });
    let made = admin.ok("auth-method-create-gcp", args);
    let id = made["access_id"].as_str().unwrap();
    let shown = admin.ok("auth-method-get", json!({"name": "/google"}));
    let rules = &shown["access_info"]["gcp_access_rules"];
    assert_eq!((&rules["type"], &rules["audience"]), (&json!("gce"), &json!("vault.example")));
    let token = |issuer: &str, project: &str, zone: &str| {
        let token = cloud.key.sign(&json!({
            "iss": issuer, "aud": "vault.example", "sub": "1001", "azp": "1001",
            "exp": SystemClock.now().seconds() + 600,
            "google": {"compute_engine": {"project_id": project, "zone": zone}},
        }));
        STANDARD.encode(token)
    };
    let google = "https://accounts.google.com";
    let good = token(google, "proj-1", "europe-west1-b");
    let seen = claims_seen(&server, login("gcp", id, &good));
    assert_eq!(seen["google.compute_engine.project_id"], json!(["proj-1"]), "{seen}");
    assert_eq!(seen["client_unique_id"], json!(["1001"]), "{seen}");
    for bad in [
        token(google, "proj-2", "europe-west1-b"),
        token(google, "proj-1", "us-east1-b"),
        token("https://accounts.google.com.evil.example", "proj-1", "europe-west1-b"),
    ] {
        server.nobody().refused(401, "auth", login("gcp", id, &bad));
    }
    for (more, words) in [
        (json!({}), "bound-service-accounts"),
        (json!({"bound-projects": ["p"], "bound-labels": ["a:b"]}), "bound-labels"),
        (json!({"bound-projects": ["p"], "type": "app"}), "type"),
    ] {
        let mut args = json!({"name": "/bad", "type": "iam", "audience": "vault.example"});
        for (name, value) in more.as_object().unwrap() {
            args[name] = value.clone();
        }
        let text = admin.refused(400, "auth-method-create-gcp", args);
        assert!(text.contains(words), "{text}");
    }
}
