//! From the path of a URL to the command it asks for.

use keysherd_api::commands::specs;
use keysherd_http::{Target, route};

/// Routes the bytes as a path.
///
/// Outer slashes, letter case and either prefix make no difference, and a name that is found is a
/// part of the path and stands for one command at most.
pub fn routes(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let target = route(path);
    assert_eq!(route(&format!("//{path}/")), target, "slashes");
    let upper = path.to_ascii_uppercase();
    match (target, route(&upper)) {
        (Target::Command(name), Target::Command(again)) => {
            assert!(name.eq_ignore_ascii_case(again), "letter case");
            check_name(path, name);
        }
        (target, again) => assert_eq!(target, again, "letter case"),
    }
}

fn check_name(path: &str, name: &str) {
    assert!(path.trim_matches('/').ends_with(name));
    assert!(!name.is_empty() && !name.starts_with('/') && !name.ends_with('/'));
    for prefix in ["/api/v2/", "/v2/", "//V2//"] {
        assert_eq!(route(&format!("{prefix}{name}")), Target::Command(name), "{prefix}");
    }
    let meant = specs()
        .into_iter()
        .filter(|spec| spec.names().any(|(known, _)| known.eq_ignore_ascii_case(name)));
    assert!(meant.count() <= 1, "{name} is two commands");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let fixed = ["", "/", "//", "/health", "/api/v2/status", "/v2", "/api/v2//", "/api/v1/x"];
    let named = specs().into_iter().map(|spec| format!("/api/v2/{}", spec.name).into_bytes());
    fixed.iter().map(|path| path.as_bytes().to_vec()).chain(named.take(4)).collect()
}
