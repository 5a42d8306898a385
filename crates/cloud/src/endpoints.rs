//! Whom a machine asks for its identity, for firewalls. Nobody is asked here.

use reqwest::Url;

use crate::{Ask, Cloud, Env, Hints, question};

/// AWS's instance metadata service, and that of its containers.
const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// A place that is asked for the identity of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEndpoint {
    /// What it is.
    pub name: &'static str,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `http` or `https`.
    pub protocol: &'static str,
}

/// Whom a machine in `cloud` asks, by the environment; nobody where the environment itself has
/// what is needed, or makes no sense.
pub fn endpoints(cloud: Cloud, env: Env<'_>) -> Vec<CloudEndpoint> {
    if cloud == Cloud::Aws {
        return aws(env).into_iter().filter_map(|(name, url)| of_url(name, &url)).collect();
    }
    let Ok(question) = question(cloud, &Hints::default(), env) else { return Vec::new() };
    let Ask::Metadata(question) = question.0 else { return Vec::new() };
    let url = question.url();
    url.and_then(|url| of_url("cloud identity", url.as_str())).into_iter().collect()
}

/// In the order in which AWS's own tools look.
fn aws(env: Env<'_>) -> Option<(&'static str, String)> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if set("AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    if set("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        let url = set("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| {
            let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
            let part = region.map_or_else(String::new, |region| format!(".{region}"));
            format!("https://sts{part}.amazonaws.com")
        });
        return Some(("AWS STS", url));
    }
    if let Some(url) = set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        return Some(("cloud metadata", url));
    }
    if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some() {
        return Some(("cloud metadata", CONTAINER.to_owned()));
    }
    let url = set("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    Some(("cloud metadata", url.unwrap_or_else(|| INSTANCE.to_owned())))
}

fn of_url(name: &'static str, url: &str) -> Option<CloudEndpoint> {
    let url = Url::parse(url).ok()?;
    let protocol = if url.scheme() == "https" { "https" } else { "http" };
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some(CloudEndpoint { name, host, port: url.port_or_known_default()?, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(cloud: Cloud, set: &[(&str, &str)]) -> Vec<String> {
        let env = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let found = endpoints(cloud, &env).into_iter();
        found.map(|place| format!("{}://{}:{}", place.protocol, place.host, place.port)).collect()
    }

    #[test]
    fn each_cloud_is_asked_where_its_own_tools_ask() {
        for (cloud, set, wanted) in [
            (Cloud::Aws, &[][..], "http://169.254.169.254:80"),
            (
                Cloud::Aws,
                &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")],
                "http://169.254.170.2:80",
            ),
            (
                Cloud::Aws,
                &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_REGION", "eu-central-1")],
                "https://sts.eu-central-1.amazonaws.com:443",
            ),
            (Cloud::Azure, &[], "http://169.254.169.254:80"),
            (
                Cloud::Azure,
                &[("IDENTITY_ENDPOINT", "http://127.0.0.1:4141/x"), ("IDENTITY_HEADER", "h")],
                "http://127.0.0.1:4141",
            ),
            (Cloud::Google, &[], "http://metadata.google.internal:80"),
        ] {
            assert_eq!(places(cloud, set), [wanted], "{cloud:?} {set:?}");
        }
        assert!(places(Cloud::Aws, &[("AWS_ACCESS_KEY_ID", "AKIA")]).is_empty());
        // What cannot work asks nobody.
        assert!(places(Cloud::Azure, &[("AZURE_FEDERATED_TOKEN_FILE", "/none")]).is_empty());
    }
}
