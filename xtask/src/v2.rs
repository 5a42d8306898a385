//! The V2 API as `data/v2-api.json` describes it: which commands there are, and in which tier.

use serde_json::Value;

use crate::root;

/// How many tiers there are.
pub(crate) const TIERS: usize = 3;

/// A command of the V2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its name: the path without the slash in front.
    pub(crate) name: String,
    /// 1: named by the product's goals; 2: called by a common integration; 3: the rest.
    pub(crate) tier: usize,
    /// The current spelling, when this is an older one.
    pub(crate) alias_of: Option<String>,
    /// The integrations that call it.
    pub(crate) callers: Vec<String>,
}

/// All commands, in the order of the file.
///
/// # Errors
/// When the file is missing or not as expected.
pub(crate) fn endpoints() -> Result<Vec<Endpoint>, String> {
    let path = root::project().join("data/v2-api.json");
    let text = root::read(&path)?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
    let data: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let list = data["endpoints"].as_array().ok_or("no list 'endpoints'")?;
    list.iter().map(endpoint).collect()
}

fn endpoint(value: &Value) -> Result<Endpoint, String> {
    let name = |key: &str| value[key].as_str().map(|path| path.trim_start_matches('/').to_owned());
    let path = name("path").ok_or("an endpoint has no path")?;
    let tier = value["tier"]
        .as_u64()
        .and_then(|tier| usize::try_from(tier).ok())
        .filter(|tier| (1..=TIERS).contains(tier))
        .ok_or_else(|| format!("{path} has no tier"))?;
    let callers = value["callers"].as_array().into_iter().flatten();
    Ok(Endpoint {
        tier,
        alias_of: name("alias_of"),
        callers: callers.filter_map(Value::as_str).map(str::to_owned).collect(),
        name: path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_every_command_with_its_tier() {
        let endpoints = endpoints().unwrap();
        assert_eq!(endpoints.len(), 666);
        let of = |tier| endpoints.iter().filter(|endpoint| endpoint.tier == tier).count();
        assert_eq!((of(1), of(2), of(3)), (198, 143, 325));
        let older =
            endpoints.iter().find(|endpoint| endpoint.name == "create-auth-method").unwrap();
        assert_eq!(older.alias_of.as_deref(), Some("auth-method-create-api-key"));
        assert_eq!(older.callers, ["terraform"]);
    }

    #[test]
    fn a_wrong_description_is_refused() {
        assert!(parse("{}").unwrap_err().contains("endpoints"));
        assert!(parse(r#"{"endpoints":[{"path":"/a","tier":4}]}"#).unwrap_err().contains("tier"));
    }
}
