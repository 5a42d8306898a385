//! From what an issuer says about a bearer to sub-claims: names to lists of texts, within bounds.

use std::collections::BTreeMap;

use keysherd_base::Fault;
use keysherd_base::limits::CLAIM_NAME_BYTES_MAX;
use keysherd_domain::claims::SubClaims;
use serde_json::{Map, Value};

/// Most claims of one identity.
pub const CLAIMS_MAX: usize = 200;
/// Most values of one claim.
pub const VALUES_MAX: usize = 1_000;

/// The claims of a JSON object. Objects inside it are flattened with dots (`realm.roles`), one
/// level deep; what is deeper, or neither text, number nor boolean, is left out.
///
/// # Errors
/// [`Fault::unauthorized`] when there are more than the bounds allow.
pub fn claims_of(object: &Map<String, Value>, delimiters: &[String]) -> Result<SubClaims, Fault> {
    let mut claims = BTreeMap::new();
    for (name, value) in object {
        if let Value::Object(inner) = value {
            for (key, value) in inner {
                add(&mut claims, format!("{name}.{key}"), value, delimiters)?;
            }
        } else {
            add(&mut claims, name.clone(), value, delimiters)?;
        }
    }
    Ok(SubClaims(claims))
}

fn add(
    claims: &mut BTreeMap<String, Vec<String>>,
    name: String,
    value: &Value,
    delimiters: &[String],
) -> Result<(), Fault> {
    let values = text_values(value, delimiters);
    if values.is_empty() || name.len() > CLAIM_NAME_BYTES_MAX {
        return Ok(());
    }
    if claims.len() >= CLAIMS_MAX || values.len() > VALUES_MAX {
        return Err(Fault::unauthorized(format!(
            "the identity has more than {CLAIMS_MAX} claims or {VALUES_MAX} values of one; let \
             its issuer send fewer"
        )));
    }
    claims.insert(name, values);
    Ok(())
}

/// The texts of one claim: each split at commas and the given delimiters, trimmed, none empty.
pub fn text_values(value: &Value, delimiters: &[String]) -> Vec<String> {
    let mut texts = Vec::new();
    match value {
        Value::Array(many) => {
            for one in many {
                texts.extend(scalar(one));
            }
        }
        one => texts.extend(scalar(one)),
    }
    let splits = |c: char| c == ',' || delimiters.iter().any(|text| text.contains(c));
    let parts = texts.iter().flat_map(|text| text.split(splits)).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_flattened_and_bounded() {
        let object = serde_json::json!({
            "groups": ["a,b", " c "], "n": 7, "ok": true, "null": null,
            "realm": {"roles": ["x;y"], "deep": {"er": 1}}, "empty": ","
        });
        let claims = claims_of(object.as_object().unwrap(), &[";".to_owned()]).unwrap();
        assert_eq!(claims.values("groups"), ["a", "b", "c"]);
        assert_eq!(claims.values("n"), ["7"]);
        assert_eq!(claims.values("realm.roles"), ["x", "y"]);
        assert_eq!(claims.0.len(), 4);
        let many: Map<String, Value> =
            (0..=CLAIMS_MAX).map(|n| (format!("c{n}"), Value::from(1))).collect();
        assert!(claims_of(&many, &[]).is_err());
    }
}
