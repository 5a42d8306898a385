//! What every member must pass, whatever it is.

use std::collections::BTreeSet;

use keysherd_targets::naming_complaints;
use keysherd_wire::Shape;
use serde_json::Value;

use crate::{Engine, Settings, all, details};

/// What is wrong with the members; empty when all is well. Run by a test.
pub fn complaints() -> Vec<String> {
    let mut found = naming_complaints(all().iter().map(|engine| {
        let kind = engine.kind();
        (kind.name, BTreeSet::new(), [kind.create, kind.update])
    }));
    for engine in all() {
        let name = engine.kind().name;
        found.extend(about(*engine).into_iter().map(|text| format!("{name}: {text}")));
    }
    found
}

fn about(engine: &dyn Engine) -> Vec<String> {
    let kind = engine.kind();
    let mut found = Vec::new();
    let field = |name: &str| kind.fields.fields.iter().find(|field| field.name == name);
    for place in kind.whereabouts.iter().filter(|place| field(place).is_none()) {
        found.push(format!("it has no setting {place}"));
    }
    if field(kind.ttl.name()).is_none() {
        found.push("its time to live is not among its settings".to_owned());
    }
    for (shown, setting) in kind.details.iter().chain(kind.json_details) {
        match field(setting) {
            None => found.push(format!("{shown} shows {setting}, which it does not have")),
            Some(field) if field.secret => found.push(format!("{shown} shows a secret")),
            Some(_) => {}
        }
    }
    if kind.fields.fields.iter().any(|field| field.secret) && kind.whereabouts.is_empty() {
        found.push("it keeps secrets, and nothing says where they go".to_owned());
    }
    if kind.fields.fields.iter().any(|field| field.shape == Shape::Map) {
        found.push("maps are no settings".to_owned());
    }
    if engine.check(&Settings::default(), None).is_ok() {
        found.push("no settings at all pass its check".to_owned());
    }
    let shown = Value::Object(details(kind, &Settings::default()));
    if shown["user_ttl"] != kind.ttl_default || shown["dynamic_secret_type"] != kind.name {
        found.push("its details lack what all have".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use keysherd_wire::Args;

    use super::*;

    /// Fields of commands that belong to all dynamic secrets, and are no settings of an engine.
    const COMMON: &[&str] = &[
        "ara-enabled",
        "delete-protection",
        "description",
        "enable-agentic-runtime-authority",
        "enable-ai-quorum",
        "input-rule",
        "item-custom-fields",
        "json",
        "name",
        "new-name",
        "output-rule",
        "skip-dry-run",
        "tags",
        "token",
        "uid-token",
    ];

    /// Fields that V2 does not have.
    const OWN: &[(&str, &str)] = &[("rdp", "host-key")];

    /// What older official clients call, with what the description has it as.
    const CALLED_ELSE: &[(&str, &str)] =
        &[("dynamic-secret-update-mongo", "dynamic-secret-update-mongodb")];

    fn described() -> Value {
        serde_json::from_str(include_str!("../../../data/v2-api.json")).unwrap()
    }

    #[test]
    fn every_member_conforms() {
        assert_eq!(complaints(), Vec::<String>::new());
    }

    #[test]
    fn settings_are_those_of_the_description() {
        let described = described();
        for engine in all() {
            let kind = engine.kind();
            let own = kind.fields.fields.iter().chain(kind.remote.fields);
            let own = own.map(|field| field.name);
            let mut ours: BTreeSet<_> =
                own.filter(|name| !OWN.contains(&(kind.name, *name))).collect();
            ours.extend(kind.key_field().map(|key| key.name()));
            if !kind.targets.is_empty() {
                ours.insert("target-name");
            }
            for spelling in kind.create.iter().chain(kind.update) {
                let endpoints = described["endpoints"].as_array().unwrap();
                let other = CALLED_ELSE.iter().find(|(called, _)| *called == spelling.name);
                let path = format!("/{}", other.map_or(spelling.name, |(_, named)| *named));
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

    #[test]
    fn what_was_made_is_found_where_it_was_made() {
        // Control lets nothing change that leads elsewhere while there are credentials.
        let made = |engine: &dyn Engine, given: &[(&'static str, &str)], old| {
            let mut args = Args::new();
            given.iter().for_each(|(name, value)| args.put(name, (*value).into()));
            engine.merged(&args, old).unwrap()
        };
        for (name, first, setting, stays) in [
            ("gcp", ("access-type", "external"), "role-binding", false),
            ("gcp", ("service-account-type", "dynamic"), "role-names", false),
            ("gcp", ("gcp-cred-type", "key"), "role-names", true),
            ("gitlab", ("group-name", "g"), "gitlab-access-type", false),
            ("gitlab", ("group-name", "g"), "group-name", false),
            ("gitlab", ("group-name", "g"), "installation-organization", false),
            ("google-workspace", ("role-name", "r"), "group-email", false),
            ("ldap", ("external-username", "true"), "group-dn", false),
            ("ldap", ("external-username", "true"), "external-username", false),
            ("ldap", ("user-dn", "d"), "group-dn", true),
            ("ldap", ("user-dn", "d"), "user-attribute", false),
            ("ldap", ("user-dn", "d"), "user-dn", false),
            ("mongodb", ("mongodb-name", "d"), "mongodb-default-auth-db", false),
            ("mongodb", ("mongodb-name", "d"), "mongodb-name", true),
            ("openai", ("project-id", "p"), "project-id", false),
            ("rdp", ("fixed-user-only", "true"), "fixed-user-only", false),
            ("rdp", ("fixed-user-only", "true"), "rdp-user-groups", false),
            ("rdp", ("rdp-user-groups", "g"), "rdp-user-groups", true),
            ("venafi", ("venafi-zone", "z"), "venafi-zone", false),
        ] {
            let engine = crate::by_name(name).unwrap();
            let old = made(engine, &[first], Settings::default());
            let place = [engine.kind().whereabouts, engine.found_by(&old)].concat();
            let known = |place: &&str| engine.kind().fields.fields.iter().any(|f| f.name == *place);
            assert!(place.iter().all(known), "{name}: {place:?}");
            let before = old.fingerprint(&place);
            let now = made(engine, &[(setting, "another")], old);
            assert_eq!(now.fingerprint(&place) == before, stays, "{name}: {setting}");
        }
    }

    #[test]
    fn details_are_those_of_the_description() {
        let described = described();
        let model = &described["models"]["DSProducerDetails"];
        for engine in all() {
            for (shown, _) in engine.kind().json_details {
                assert_eq!(model[shown]["type"], "list[str]", "{shown}");
            }
            for (shown, setting) in engine.kind().details {
                let named = model[shown]["type"].as_str();
                let field = engine.kind().fields.fields.iter().find(|field| field.name == *setting);
                let wanted = match field.unwrap().shape {
                    Shape::Flag => "bool",
                    Shape::Int => "int",
                    Shape::List => "list[str]",
                    _ => "str",
                };
                assert_eq!(named, Some(wanted), "{shown}");
            }
        }
    }
}
