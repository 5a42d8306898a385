//! Whom the account of a pod is shown to.

use keysherd_base::FaultKind;

use super::*;

fn api_server(pod: &Pod, given: &str) -> Option<String> {
    pod.api_server(&Url::parse(given).unwrap()).map(String::from)
}

#[test]
fn only_the_api_server_of_the_pods_own_cluster_is_asked() {
    let pod = Pod::at("10.96.0.1", "443").unwrap();
    let own = Some("https://10.96.0.1/".to_owned());
    for given in [
        "https://10.96.0.1",
        "https://10.96.0.1:443/",
        "https://kubernetes.default.svc",
        "https://KUBERNETES:443",
        "https://kubernetes.default.svc.cluster.local",
    ] {
        assert_eq!(api_server(&pod, given), own, "{given}");
    }
    for given in [
        "https://mine.example",
        "https://10.96.0.2",
        "https://10.96.0.1:6443",
        "https://kubernetes.default.svc.mine.example",
        "https://kubernetes:6443",
        "https://10.96.0.1/elsewhere",
    ] {
        assert_eq!(api_server(&pod, given), None, "{given}");
    }
    let other = Pod::at("fd00::1", "6443").unwrap();
    for given in ["https://[fd00::1]:6443", "https://kubernetes", "https://kubernetes:6443"] {
        assert_eq!(api_server(&other, given).unwrap(), "https://[fd00::1]:6443/", "{given}");
    }
    for (host, port) in [("", "443"), ("a/b", "443"), ("u@a", "443"), ("a", "x"), ("a", "70000")] {
        assert_eq!(Pod::at(host, port), None, "{host} {port}");
    }
}

#[test]
fn another_authority_than_the_pods_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let read = |ca: Option<&str>| OwnAccount::read_in(dir.path(), ca).map_err(|f| f.kind());
    assert_eq!(read(None).map(drop), Err(FaultKind::Unavailable));
    std::fs::write(dir.path().join("token"), "a.b.c\n").unwrap();
    std::fs::write(dir.path().join("ca.crt"), "-----BEGIN X-----\nAAAA\n-----END X-----\n")
        .unwrap();
    assert_eq!(read(None).unwrap().token.expose(), "a.b.c");
    let same = "-----BEGIN X-----\r\nAAAA\r\n-----END X-----";
    assert_eq!(read(Some(same)).unwrap().token.expose(), "a.b.c");
    let other = "-----BEGIN X-----\nAAAB\n-----END X-----\n";
    for other in [other, "", "-----BEGIN X-----"] {
        assert_eq!(read(Some(other)).map(drop), Err(FaultKind::Unavailable), "{other}");
    }
}
