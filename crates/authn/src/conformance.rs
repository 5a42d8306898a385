//! What every member must pass, whatever it is.

use std::collections::BTreeSet;

use crate::{Method, all};

/// What is wrong with the members; empty when all is well. Run by a test.
pub fn complaints() -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for method in all() {
        let kind = method.kind();
        let own = [kind.name].into_iter().chain(kind.access_types.iter().copied());
        let spelled = kind.create.iter().chain(kind.update).map(|spelling| spelling.name);
        // A kind may be its own access type; two kinds may not share either.
        for name in own.collect::<BTreeSet<_>>().into_iter().chain(spelled) {
            if !names.insert(name) {
                found.push(format!("{}: the name {name} is taken", kind.name));
            }
        }
        found.extend(about(*method).into_iter().map(|text| format!("{}: {text}", kind.name)));
    }
    found
}

fn about(method: &dyn Method) -> Vec<String> {
    let mut found = Vec::new();
    if method.kind().create.is_empty() || method.kind().access_types.is_empty() {
        found.push("it has no create command or no access type".to_owned());
    }
    for bad in ["", "null", "[]", "{", "{\"unknown-setting\":1}"] {
        if method.check(bad).is_ok() {
            found.push(format!("settings {bad:?} pass its check"));
        }
        if method.show(bad).is_ok() {
            found.push(format!("settings {bad:?} can be shown"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_member_conforms() {
        assert_eq!(super::complaints(), Vec::<String>::new());
    }
}
