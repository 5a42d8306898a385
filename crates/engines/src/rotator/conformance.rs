//! What every rotator must pass, whatever it is.

use std::collections::BTreeSet;

use keysherd_targets::naming_complaints;

use crate::rotators::all;

/// What is wrong with the rotators; empty when all is well. Run by a test.
pub fn complaints() -> Vec<String> {
    let mut found = naming_complaints(all().iter().map(|rotator| {
        let kind = rotator.kind();
        (kind.name, BTreeSet::new(), [kind.create, kind.update])
    }));
    for rotator in all() {
        let kind = rotator.kind();
        let types: BTreeSet<_> = kind.types.iter().map(|known| known.name).collect();
        if kind.types.is_empty() || types.len() != kind.types.len() {
            found.push(format!("{}: its types have no names of their own", kind.name));
        }
        if kind.targets.is_empty() {
            found.push(format!("{}: it works with no target", kind.name));
        }
        if kind.fields.fields.iter().any(|field| field.secret) {
            found.push(format!("{}: a secret is no setting, but a value", kind.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Fields of commands that belong to all rotated secrets.
    const COMMON: &[&str] = &[
        "add-tag",
        "ara-enabled",
        "authentication-credentials",
        "auto-rotate",
        "delete-protection",
        "description",
        "enable-agentic-runtime-authority",
        "enable-ai-quorum",
        "grace-rotation",
        "grace-rotation-hour",
        "grace-rotation-interval",
        "grace-rotation-timing",
        "input-rule",
        "item-custom-fields",
        "json",
        "keep-prev-version",
        "key",
        "lock-during-sra-session",
        "lock-on-read",
        "lock-ttl",
        "max-versions",
        "name",
        "new-name",
        "output-rule",
        "rm-tag",
        "rotate-after-disconnect",
        "rotate-on-unlock",
        "rotation-event-in",
        "rotation-hour",
        "rotation-interval",
        "rotator-type",
        "skip-dry-run",
        "tags",
        "target-name",
        "token",
        "uid-token",
    ];

    /// Fields that V2 does not have.
    const OWN: &[(&str, &str)] = &[("ssh", "host-key")];

    #[test]
    fn every_rotator_conforms() {
        assert_eq!(complaints(), Vec::<String>::new());
    }

    #[test]
    fn fields_are_those_of_the_description() {
        let described: Value =
            serde_json::from_str(include_str!("../../../../data/v2-api.json")).unwrap();
        for rotator in all() {
            let kind = rotator.kind();
            let groups = [kind.fields, kind.given, kind.remote];
            let own = groups.into_iter().flat_map(|group| group.fields);
            let ours = own.map(|field| field.name);
            let ours: BTreeSet<_> =
                ours.filter(|name| !OWN.contains(&(kind.name, *name))).collect();
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
                let theirs: BTreeSet<_> = theirs.iter().map(String::as_str).collect();
                let common: BTreeSet<_> = COMMON.iter().copied().collect();
                let left: BTreeSet<_> = theirs.difference(&common).copied().collect();
                assert_eq!(left, ours, "{path}");
            }
        }
    }
}
