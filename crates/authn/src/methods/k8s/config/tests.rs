//! Where a configuration has its gateway ask.

use super::*;

fn config(host: &str, api: Api) -> K8sConfig {
    K8sConfig {
        id: "id".to_owned(),
        host: host.to_owned(),
        api,
        rancher_cluster_id: Some("c-1".to_owned()),
        rancher_api_key: Some("key".to_owned()),
        ca: None,
        reviewer: None,
        client_certificate: None,
        client_key: None,
        issuer: None,
        own_service_account: true,
        assertion_seconds: 60,
        signing_key: String::new(),
    }
}

#[test]
fn the_service_account_of_the_pod_leads_to_no_host_that_a_configuration_chooses() {
    let pod = Pod::at("10.96.0.1", "6443").unwrap();
    let at = |host: &str, api: Api, pod: Option<&Pod>| {
        let found = config(host, api).review_url_in(pod);
        found.map(String::from).map_err(|fault| fault.public().to_owned())
    };
    let own = "https://10.96.0.1:6443/apis/authentication.k8s.io/v1/tokenreviews";
    for host in ["https://10.96.0.1:6443", "https://kubernetes.default.svc"] {
        assert_eq!(at(host, Api::NativeK8s, Some(&pod)).as_deref(), Ok(own), "{host}");
        assert!(at(host, Api::Rancher, Some(&pod)).unwrap_err().contains("'k8s-host'"));
        let nowhere = at(host, Api::NativeK8s, None).unwrap_err();
        assert!(nowhere.contains("'use-gw-service-account'"), "{nowhere}");
    }
    for host in ["https://mine.example", "https://10.96.0.1:6443/x", "https://10.96.0.1"] {
        assert!(at(host, Api::NativeK8s, Some(&pod)).unwrap_err().contains("'k8s-host'"), "{host}");
    }
    // Without the account, hosts are the configuration's to choose, as ever.
    let mut other = config("https://mine.example", Api::NativeK8s);
    other.own_service_account = false;
    assert!(other.review_url_in(None).is_ok());
}
