//! What every member must pass, whatever it is.

use crate::kind::naming_complaints;
use crate::{Settings, Target, all};

/// What is wrong with the members; empty when all is well. Run by a test.
pub fn complaints() -> Vec<String> {
    // A kind may be its own type; two kinds may not share either.
    let mut found = naming_complaints(all().iter().map(|target| {
        let kind = target.kind();
        (kind.name, kind.types.iter().copied().collect(), [kind.create, kind.update])
    }));
    for target in all() {
        let name = target.kind().name;
        found.extend(about(*target).into_iter().map(|text| format!("{name}: {text}")));
    }
    found
}

fn about(target: &dyn Target) -> Vec<String> {
    let kind = target.kind();
    let mut found = Vec::new();
    for place in kind.whereabouts {
        if !kind.fields.fields.iter().any(|field| field.name == *place) {
            found.push(format!("it has no setting {place}"));
        }
    }
    let secret = kind.fields.fields.iter().any(|field| field.secret);
    if secret && kind.whereabouts.is_empty() {
        found.push("it keeps secrets, and nothing says where they go".to_owned());
    }
    if target.check(&Settings::default()).is_ok() {
        found.push("no settings at all pass its check".to_owned());
    }
    if !target.details(&Settings::default()).1.is_empty() {
        found.push("it shows settings that nobody gave".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Fields of commands that belong to all targets, and are no settings of one.
    const COMMON: &[&str] = &[
        "comment",
        "delete-protection",
        "description",
        "json",
        "keep-prev-version",
        "key",
        "lock-on-read",
        "lock-ttl",
        "max-versions",
        "name",
        // Only of `target-update-openai`, beside the description.
        "new-comment",
        "new-name",
        "new-version",
        "protection-key",
        "rotate-on-unlock",
        "token",
        "uid-token",
        "update-version",
        // Of all targets that may have a parent.
        "parent-target-name",
        // Only of the update commands of linked targets.
        "add-hosts",
        "rm-hosts",
        // Only of `update-db-target-details`, which is of a time before they moved.
        "mongo-db-name",
        "mongo-uri",
    ];

    fn described() -> Value {
        let text = include_str!("../../../data/v2-api.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_member_conforms() {
        assert_eq!(complaints(), Vec::<String>::new());
    }

    #[test]
    fn settings_are_those_of_the_description() {
        let described = described();
        for target in all() {
            let kind = target.kind();
            let ours: BTreeSet<_> = kind.fields.fields.iter().map(|field| field.name).collect();
            for spelling in kind.create.iter().chain(kind.update) {
                let endpoints = described["endpoints"].as_array().unwrap();
                let path = format!("/{}", spelling.name);
                let endpoint = endpoints.iter().find(|known| known["path"] == path.as_str());
                let endpoint = endpoint.unwrap_or_else(|| panic!("{path}"));
                assert_eq!(endpoint["request"], spelling.request, "{path}");
                assert_eq!(endpoint["response"], spelling.reply, "{path}");
                assert_eq!(endpoint["success"], spelling.success, "{path}");
                let model = described["models"][spelling.request].as_object().unwrap();
                let theirs: BTreeSet<_> = model.keys().map(|key| key.replace('_', "-")).collect();
                for field in &theirs {
                    let known = ours.contains(field.as_str()) || COMMON.contains(&field.as_str());
                    assert!(known, "{path}: {field}");
                }
                if !spelling.name.ends_with("-details") {
                    let absent: Vec<_> =
                        ours.iter().filter(|field| !theirs.contains(**field)).collect();
                    assert!(absent.is_empty(), "{path}: {absent:?}");
                }
            }
        }
    }
}
