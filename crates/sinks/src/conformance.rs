//! What every member must pass, whatever it is.

use std::collections::BTreeSet;

use keysherd_wire::Shape;

use crate::{Settings, Sink, Way, all};

/// What is wrong with the members; empty when all is well. Run by a test.
pub fn complaints(way: &Way) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for sink in all() {
        let kind = sink.kind();
        let shown = kind.shown.as_ref().map(|shown| shown.field);
        for name in [Some(kind.name), shown].into_iter().flatten() {
            if !names.insert(name) {
                found.push(format!("{}: the name {name} is taken", kind.name));
            }
        }
        found.extend(about(*sink, way).into_iter().map(|text| format!("{}: {text}", kind.name)));
    }
    found
}

fn about(sink: &dyn Sink, way: &Way) -> Vec<String> {
    let kind = sink.kind();
    let mut found = Vec::new();
    for field in kind.fields.fields {
        if !matches!(field.shape, Shape::Text | Shape::Flag) || field.required {
            found.push(format!("{} is no optional text or flag", field.name));
        }
    }
    for (shown, setting) in kind.shown.iter().flat_map(|shown| shown.content) {
        match kind.fields.fields.iter().find(|field| field.name == *setting) {
            None => found.push(format!("{shown} shows {setting}, which it does not have")),
            Some(field) if field.secret => found.push(format!("{shown} shows a secret")),
            Some(_) => {}
        }
    }
    // Without settings nobody can be sent to, except where there are none.
    let opened = sink.open(&Settings::default(), way).is_ok();
    if opened != kind.fields.fields.is_empty() {
        found.push("what it does without settings is wrong".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_member_conforms() {
        assert_eq!(super::complaints(&crate::testing::way()), Vec::<String>::new());
    }
}
