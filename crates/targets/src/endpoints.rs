//! Other addresses of services that are always at one place, for networks that do not let that be
//! reached. They are the operator's to say, by the gateway's environment: no setting of a target
//! leads there.

/// Where services are that are not where they usually are.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// AWS's identity service.
    pub iam: Option<String>,
    /// The address of the service that lends credentials of AWS.
    pub sts: Option<String>,
    /// Docker Hub's.
    pub dockerhub: Option<String>,
    /// Snowflake's, of whichever account.
    pub snowflake: Option<String>,
    /// What leads to Azure's services: each below the name of its host.
    pub azure: Option<String>,
    /// What leads to Google's services: each below the name of its host.
    pub google: Option<String>,
}

impl Endpoints {
    /// Those that the environment names: of AWS in the variables that its own tools read.
    pub fn of(env: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name: &str| env(name).filter(|url| !url.is_empty());
        Self {
            iam: named("AWS_ENDPOINT_URL_IAM"),
            sts: named("AWS_ENDPOINT_URL_STS"),
            dockerhub: named("DOCKERHUB_ENDPOINT_URL"),
            snowflake: named("SNOWFLAKE_ENDPOINT_URL"),
            azure: named("AZURE_ENDPOINT_URL"),
            google: named("GOOGLE_ENDPOINT_URL"),
        }
    }
}

/// The address of a service's host, or what leads to it.
pub(crate) fn at(host: &str, leading: Option<&str>) -> String {
    match leading {
        Some(url) => format!("{}/{host}", url.trim_end_matches('/')),
        None => format!("https://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_lead_to_services_and_nobody_else_does() {
        let other = |name: &str| match name {
            "GOOGLE_ENDPOINT_URL" => Some("http://proxy.example/google/".to_owned()),
            "AZURE_ENDPOINT_URL" => Some(String::new()),
            _ => None,
        };
        let endpoints = Endpoints::of(other);
        let google = at("iam.googleapis.com", endpoints.google.as_deref());
        assert_eq!(google, "http://proxy.example/google/iam.googleapis.com");
        let azure = at("graph.microsoft.com", endpoints.azure.as_deref());
        assert_eq!(azure, "https://graph.microsoft.com");
    }
}
