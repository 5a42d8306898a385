//! Every crate takes the workspace's lints, has the name of its directory, and no features.

use toml::Table;

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for file in tree.files() {
        let Some(name) = crate_of(&file.path) else { continue };
        // A manifest that is no TOML is found by the rule about edges.
        let Ok(manifest) = file.text.parse::<Table>() else { continue };
        for text in complaints(name, &manifest) {
            found.push(Finding {
                path: file.path.clone(),
                line: 0,
                rule: "manifests",
                value: None,
                text,
            });
        }
    }
}

fn crate_of(path: &str) -> Option<&str> {
    let directory = path.strip_suffix("/Cargo.toml")?;
    let name = directory.strip_prefix("crates/").or((directory == "xtask").then_some(directory))?;
    (!name.contains('/')).then_some(name)
}

fn complaints(directory: &str, manifest: &Table) -> Vec<String> {
    let mut complaints = Vec::new();
    let inside = |section: &str, key: &str| manifest.get(section).and_then(|table| table.get(key));
    if inside("lints", "workspace").and_then(|value| value.as_bool()) != Some(true) {
        complaints.push("[lints] does not say workspace = true".to_owned());
    }
    if manifest.get("features").is_some() {
        complaints.push("a crate has no features: there is one way to build it".to_owned());
    }
    let package = inside("package", "name").and_then(|value| value.as_str()).unwrap_or_default();
    if package.strip_prefix("keysherd-").unwrap_or(package) != directory {
        complaints.push(format!("the package {package} is in the directory {directory}"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn each_fault_of_a_manifest_is_found() {
        let good = "[package]\nname = \"keysherd-a\"\n[lints]\nworkspace = true\n";
        let path = "crates/a/Cargo.toml";
        expect(check, &[(path, good)], &[]);
        let bad = "[package]\nname = \"keysherd-b\"\n[features]\nx = []\n";
        expect(
            check,
            &[(path, bad)],
            &[(path, 0, "[lints]"), (path, 0, "no features"), (path, 0, "keysherd-b")],
        );
    }
}
