//! Azure AD methods against an issuer on this machine.

use serde_json::{Value, json};

use super::*;
use crate::scene::{REFUSED, Scene};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const MACHINE: &str = "/subscriptions/sub-1/resourcegroups/RG-1/providers/Microsoft.Compute/\
                       virtualMachines/vm-1";
const SHARED: &str = "/subscriptions/sub-2/resourcegroups/rg-2/providers/\
                      Microsoft.ManagedIdentity/userAssignedIdentities/id-2";

fn settings(scene: &Scene, more: &Value) -> String {
    let mut bounds = json!({
        "subscriptions": [], "groups": [], "providers": [], "types": [], "names": [], "ids": [],
    });
    let mut settings = json!({
        "tenant": TENANT, "issuer": null, "jwks_uri": scene.keys_uri(),
        "audience": "https://management.azure.com/", "unique_identifier": null,
        "service_principals": [], "groups": [],
    });
    for (name, value) in more.as_object().unwrap() {
        match name.strip_prefix("resource.") {
            Some(bound) => bounds[bound] = value.clone(),
            None => settings[name] = value.clone(),
        }
    }
    settings["resource"] = bounds;
    settings.to_string()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "tid": TENANT,
        "aud": "https://management.azure.com/", "oid": "oid-1", "sub": "sub-of-token",
        "groups": ["g1", "g2"], "xms_mirid": MACHINE, "exp": Scene::NOW + 600,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn tenants_groups_and_resources_bind() {
    let scene = Scene::new("RS256");
    for (bounds, said, admitted) in [
        (json!({}), json!({}), true),
        (json!({}), json!({"tid": "another-tenant"}), false),
        (json!({}), json!({"tid": null}), false),
        (json!({"service_principals": ["OID-1"]}), json!({}), true),
        (json!({"service_principals": ["oid-2"]}), json!({}), false),
        (json!({"groups": ["g0", "g2"]}), json!({}), true),
        (json!({"groups": ["g3"]}), json!({}), false),
        (json!({"groups": ["g1"]}), json!({"groups": "g1"}), false),
        (json!({"resource.subscriptions": ["SUB-1"]}), json!({}), true),
        (json!({"resource.subscriptions": ["sub-2"]}), json!({}), false),
        (json!({"resource.groups": ["rg-1"]}), json!({}), true),
        (json!({"resource.groups": ["rg"]}), json!({}), false),
        (json!({"resource.providers": ["microsoft.compute"]}), json!({}), true),
        (json!({"resource.types": ["virtualmachines"]}), json!({}), true),
        (json!({"resource.names": ["vm-1"]}), json!({}), true),
        (json!({"resource.names": ["vm-2"]}), json!({}), false),
        (json!({"resource.ids": [MACHINE.to_uppercase()]}), json!({}), true),
        (json!({"resource.ids": [SHARED]}), json!({}), false),
        // An identity that resources share: both ids count, but no mixture of them.
        (json!({"resource.ids": [SHARED]}), json!({"xms_az_rid": SHARED}), true),
        (
            json!({"resource.names": ["vm-1"], "resource.groups": ["rg-2"]}),
            json!({"xms_az_rid": SHARED}),
            false,
        ),
        (json!({"resource.names": ["vm-1"]}), json!({"xms_mirid": null}), false),
        (json!({"resource.names": ["vm-1"]}), json!({"xms_mirid": "vm-1"}), false),
    ] {
        let token = scene.sign(&claims(&said));
        let outcome = scene.login(&AzureAd, &settings(&scene, &bounds), &token).await;
        let wanted = if admitted { Ok("oid-1".to_owned()) } else { REFUSED };
        assert_eq!(outcome, wanted, "{bounds} {said}");
    }
}

#[tokio::test]
async fn issuers_and_audiences_of_both_versions_count() {
    let scene = Scene::new("RS256");
    let v2 = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let sts = format!("https://sts.windows.net/{TENANT}");
    for (set, said, admitted) in [
        (json!({}), json!({ "iss": v2 }), true),
        (json!({ "issuer": sts }), json!({}), true),
        (json!({ "issuer": sts }), json!({ "iss": v2 }), false),
        (json!({}), json!({"iss": "https://sts.windows.net/other/"}), false),
        (json!({}), json!({"iss": "https://login.microsoftonline.com/common/v2.0"}), false),
        (json!({}), json!({"aud": "https://management.azure.com"}), true),
        (json!({}), json!({"aud": "https://vault.azure.net"}), false),
        (json!({"audience": "api://keysherd"}), json!({"aud": "api://keysherd"}), true),
        (json!({"unique_identifier": "sub"}), json!({}), true),
    ] {
        let token = scene.sign(&claims(&said));
        let outcome = scene.login(&AzureAd, &settings(&scene, &set), &token).await;
        assert_eq!(outcome.is_ok(), admitted, "{set} {said}");
    }
}

#[test]
fn clouds_have_their_own_issuers_and_keys() {
    for (audience, issuer, keys) in [
        ("https://management.azure.com", "sts.windows.net", "login.microsoftonline.com"),
        ("https://management.usgovcloudapi.net/", "microsoftonline.us", "microsoftonline.us"),
        ("https://management.chinacloudapi.cn/", "sts.chinacloudapi.cn", "microsoftonline.cn"),
        ("api://anything", "sts.windows.net", "login.microsoftonline.com"),
    ] {
        let cloud = Cloud::of_audience(audience);
        assert!(cloud.issuers(TENANT).iter().any(|name| name.contains(issuer)), "{audience}");
        assert!(cloud.keys_uri.contains(keys), "{audience}");
    }
}

#[test]
fn resource_ids_are_taken_apart() {
    let parsed = Resource::parse(MACHINE).unwrap();
    assert_eq!((parsed.subscription, parsed.group), ("sub-1", "RG-1"));
    assert_eq!((parsed.provider, parsed.kind), ("Microsoft.Compute", "virtualMachines"));
    assert_eq!((parsed.name, parsed.id), ("vm-1", MACHINE));
    let nested = format!("{MACHINE}/extensions/e");
    assert_eq!(Resource::parse(&nested).map(|it| (it.kind, it.name)), Some(("extensions", "e")));
    for bad in [
        "",
        "vm-1",
        "/",
        "/subscriptions/s",
        "/subscriptions/s/resourcegroups/g/providers/p",
        "/subscriptions/s/resourcegroups/g/providers/p/t",
        "/subscriptions/s/resourcegroups/g/providers/p/t/",
        "/subscriptions//resourcegroups/g/providers/p/t/n",
        "/subscriptions/s/resourcegroups/g/providers/p/t/n/x",
        "/x/s/resourcegroups/g/providers/p/t/n",
    ] {
        assert_eq!(Resource::parse(bad), None, "{bad}");
    }
}

#[test]
fn bad_tenants_are_refused() {
    let scene = Scene::new("ES256");
    for bad in ["", "a/b", "a b", "../x", &"a".repeat(65)] {
        let fault = AzureAd.check(&settings(&scene, &json!({ "tenant": bad }))).unwrap_err();
        assert!(fault.public().contains("bound-tenant-id"), "{fault}");
    }
}
